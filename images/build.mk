# parts of images/
