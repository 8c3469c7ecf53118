"""What else is shown, beside the images of the present."""

from .rehearsal import Memory, Rehearsal, Term
from .table import REHEARSALS
