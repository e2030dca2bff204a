# SPDX-License-Identifier: MIT
"""
What a figure is: measured in rounds, kept as tables, drawn by gnuplot.
"""
import csv
import itertools
import shutil
import statistics
import subprocess

import bench
from bench import BUILD, note, options

OUTPUT = options.out or BUILD / "figures"
every = {}
remarks = []


def remark(text):
    """What is to stand under the figure that is being measured: what couldn't be, and why; what follows from it."""
    if text not in remarks:
        remarks.append(" ".join(text.split()))


def those_that_run(kinds):
    """One of each, without those that can't run here."""
    running = []
    for kind in kinds:
        try:
            running.append(kind())
        except RuntimeError as error:
            remark(f"{kind.title}: not measured: {error}")
    return running


class Figure:
    def __init__(self, name, title, keys, values, plot, method, measure):
        self.name, self.title, self.keys, self.values = name, title, keys, values
        self.plot, self.method, self.measure = plot, " ".join(method.split()), measure
        self.rounds = []

    def run(self):
        remarks.clear()
        for row in self.measure():
            assert set(row) <= set(self.keys) | set(self.values), row
            self.rounds.append(row)
        if not self.rounds:
            raise RuntimeError("; ".join(remarks) or "it gave no figures")
        medians = self.medians()
        self.write(f"{self.name}-rounds.csv", self.rounds)
        self.write(f"{self.name}.csv", medians)
        self.print(medians)
        self.draw()

    def medians(self):
        """One row for what has the same keys, in the order in which they first came."""
        alike = {}
        for row in self.rounds:
            alike.setdefault(tuple(row.get(key) for key in self.keys), []).append(row)
        for keys, rows in alike.items():
            values = {v: statistics.median(row[v] for row in rows if v in row) for v in self.values if any(v in row for row in rows)}
            alike[keys] = dict(zip(self.keys, keys)) | values
        return list(alike.values())

    def write(self, name, rows):
        OUTPUT.mkdir(parents=True, exist_ok=True)
        m = bench.machine()
        with open(OUTPUT / name, "w", newline="") as file:
            file.write(f"# {self.title}\n# machine: {m['cpus']} x {m['cpu']}; kernel {m['kernel']}; commit {m['commit']}; {m['date']}; "
                       f"load {m['load']}\n# method: {self.method}\n" + "".join(f"# {line}\n" for line in remarks))
            table = csv.DictWriter(file, [*self.keys, *self.values], restval="", lineterminator="\n")
            table.writeheader()
            for row in rows:
                table.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})

    def print(self, rows):
        columns = [*self.keys, *self.values]
        print(f"## {self.title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(self.keys)}{'---:|' * len(self.values)}")
        for row in rows:
            print("| " + " | ".join(f"{row[c]:.4g}" if isinstance(row.get(c), float) else str(row.get(c, "-")) for c in columns) + " |")
        print("".join(f"\n{line}\n" for line in remarks), flush=True)

    def draw(self):
        if not shutil.which("gnuplot"):
            note(f"{self.name}: no pictures, for gnuplot is not installed")
            return
        title = self.title.replace("'", "''")
        for terminal in ("pngcairo size 900,540 font 'sans,11'", "svg size 900,540 font 'sans,13' background 'white'"):
            kind = "svg" if terminal.startswith("svg") else "png"
            script = (f"set terminal {terminal} noenhanced\nset output '{OUTPUT}/{self.name}.{kind}'\nset title '{title}'\n"
                      f"set datafile separator comma\nset datafile missing NaN\n"
                      f"set grid\nset key outside bottom center horizontal height 1\nfile = '{OUTPUT}/{self.name}.csv'\n"
                      f"series(key, value, y) = strcol(key) eq value ? column(y) : NaN\n{self.plot}\n")
            # It also complains about contenders that are not there.
            done = subprocess.run(["gnuplot"], input=script, capture_output=True, text=True)
            if done.returncode:
                note(f"{self.name}: no {kind}: {done.stderr.strip()}")


def figure(name, title, keys, values, plot, method):
    """plot: gnuplot, in which `file` is the CSV and series("contender", "x", "y") one contender's column."""
    def register(measure):
        every[name] = Figure(name, title, keys, values, plot, method, measure)
        return measure
    return register


def in_turns(what, *choices):
    """Every combination of the choices, and the whole of it once a round."""
    for number in range(options.rounds):
        note(f"{what}: round {number + 1} of {options.rounds}")
        yield from itertools.product(*choices)


def lines(contenders, x, y, title="", style="lw 2"):
    """For gnuplot's plot: one line with points a contender."""
    return ", ".join(f"file using \"{x}\":(series('contender', '{c}', '{y}')) with linespoints {style} title '{title}{c}'" for c in contenders)
