"""How long the server lets an event wait for the one that it follows before automations see it.

Prefect keeps the events it has seen in memory. After it was started again, the first event of a run follows
one that it does not know, and waits a quarter of an hour for it. So would a run that died then, although an
automation is to have it go on at once. The server is told of this module by
``PREFECT_SERVER_EVENTS_CAUSAL_ORDERING``, which is Prefect's own way of exchanging the order of events.
"""

from datetime import timedelta

from prefect.server.events.ordering import memory

PATIENCE = timedelta(seconds=20)
"""Events of one client come within seconds of one another; what is later is not coming."""
_CONSTANT = "PRECEDING_EVENT_LOOKBACK"

# Both methods that compare with it read it there, each time.
assert isinstance(vars(memory)[_CONSTANT], timedelta)
setattr(memory, _CONSTANT, PATIENCE)

CausalOrdering = memory.CausalOrdering
