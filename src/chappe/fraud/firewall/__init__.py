"""The content firewall: what becomes of a text, by whose policy, and what was decided on review.

`Firewall.judge` answers on the hot path, from memory: allow, review or block. What is to be reviewed is held with
`hold`; `decide_review` is the operator's word, which the pipeline carries out.
"""
