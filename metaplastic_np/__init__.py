"""Neuromimetic metaplasticity for adaptive continual learning, from scratch in NumPy.

A network learns items one after another and keeps old ones, because every synapse stiffens, at its
own flexibility, as it travels from where it was born.

Reading order, an afternoon::

     1. plasticity      the equation
     2. flexibility     what tells the networks apart
     3. layers          forward and backward passes by hand
     4. gradient_check  and how we know that they are right
     5. network         an ordinary network that has never heard of the paper
     6. datasets        images
     7. items           what is shown, when, under which labels
     8. metaplasticity  what the paper adds to a network
     9. learning        the one place where weights move
    10. recall          what was remembered
    11. _fast           the same equations, fast

and another one, for what is made of it::

    12. schedules       which item is presented when
    13. settings        all that a run's numbers depend on
    14. trials          one draw of everything, learned by every network
    15. experiments     many trials, their results, steepness by balance
    16. statistics      bounds and intervals over trials
    17. claims          what the paper says, as margins; controls, verdicts: whether it holds
    18. panels          what a figure shows; pictures: which there are; figures: how they are drawn
    19. reproduce       the whole paper as a plan, and report, the page that comes of it
    20. sources         MNIST, and images of your own
    21. workers         many trials at once
    22. bench           how fast it is, beside rivals, which compute the same with other libraries
    23. exercises       what checks the exercises of the course; questions: what they ask
"""

from types import ModuleType as _ModuleType

from . import exercises as exercises
from ._errors import *
from .bench import *
from .claims import *
from .datasets import *
from .experiments import *
from .figures import *
from .flexibility import *
from .gradient_check import *
from .items import *
from .layers import *
from .learning import *
from .machine import *
from .metaplasticity import *
from .network import *
from .panels import *
from .pictures import *
from .plasticity import *
from .recall import *
from .report import *
from .reproduce import *
from .schedules import *
from .settings import *
from .sources import *
from .statistics import *
from .storage import *
from .verdicts import *
from .workers import *

__all__ = sorted(
    name
    for name, thing in globals().items()
    if not name.startswith("_") and not isinstance(thing, _ModuleType)
)
