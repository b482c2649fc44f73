"""Pages of runs, of comparisons and of files of gaze: one self-contained HTML file each."""
