"""Who hears of trouble, when, and how that gets there.

``judging`` reads runs that ended and moves the alarm of their Job by ``rules``; ``telling`` and
``mails`` write what is to be told, ``pings`` what is told of each run; ``outbox`` keeps it until
``sending`` hands it to one of the ``channels``. ``courier`` is the thread that has all that done.
``service`` watches what no run tells of.
"""
