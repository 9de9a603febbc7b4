"""The wake-ups that no cluster has taken off the broker yet."""

from django_q.models import OrmQ


def woken() -> list[str]:
    """The names of the queues that they tell to look at, the oldest first."""
    return [row.task["args"][0] for row in OrmQ.objects.order_by("id")]
