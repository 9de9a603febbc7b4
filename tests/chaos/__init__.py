"""Kill anything at any moment, and see that nothing is lost and nothing runs twice at once.

``python -m tests.chaos --help`` says more.
"""
