"""The library, torch alone. Four choices, each in a file that knows nothing of the others:

criteria.py      which weights go: "magnitude", "random", or any function
distribution.py  how many, and compared with which: layer or global, one sparsity or one by layer
schedule.py      when: at once, or gradually
targets.py       of which parameters
"""
