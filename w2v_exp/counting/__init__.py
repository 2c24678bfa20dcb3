"""Counts of long texts: what is counted, in tasks, and engines that execute the tasks on one machine or several."""
