"""The pruning library; it needs torch alone. Four independent choices, a file each:

criteria.py      which weights are pruned: "magnitude", "random", or any function
distribution.py  how many: one sparsity or one by layer, compared by layer or globally
schedule.py      when: at once, or gradually
targets.py       which parameters can be pruned
"""
