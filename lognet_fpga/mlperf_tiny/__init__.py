"""MLPerf Tiny: its reference models deployed and judged by its rules, and bundles behind its runner's protocol.

`tasks` has the facts of each task, `reference` its model and lists, `evaluation` its frames and quality,
`benchmark_device` the protocol, `submission` the folders of a submission.
"""
