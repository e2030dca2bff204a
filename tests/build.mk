# Tests, measurements and what they need. tests/check.sh has the order and the counting.
