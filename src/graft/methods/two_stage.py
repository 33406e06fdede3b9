"""Two-stage: the head is trained on the cached features of the plain images, which is to have no views."""

from functools import partial

from graft.methods.two_stage_views import fit_two_stage_views

fit_two_stage = partial(fit_two_stage_views, views=0)
