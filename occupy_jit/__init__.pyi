# What type checkers and editors see of the names that are loaded when they are used; a test holds the two together.
from occupy_jit import errors as errors
from occupy_jit import estimation as estimation
from occupy_jit import kernels as kernels
from occupy_jit import occupancy as occupancy
from occupy_jit.estimation.comparison.parts import compare_parts as compare_parts
from occupy_jit.estimation.noise.half_maps import join_half_maps as join_half_maps
from occupy_jit.estimation.parts.fit import occupancy_of_parts as occupancy_of_parts
from occupy_jit.estimation.scale.inputs import Masks as Masks
from occupy_jit.estimation.scale.inputs import Wanted as Wanted
from occupy_jit.estimation.states.of_volumes import states as states
from occupy_jit.files.maps.reading import read_map as read_map
from occupy_jit.files.maps.writing import write_map as write_map
from occupy_jit.files.models.reading import read_model as read_model
from occupy_jit.interface import classes as classes
from occupy_jit.interface import estimate as estimate
from occupy_jit.occupancy import get_map_occupancy as get_map_occupancy
from occupy_jit.settings import Settings as Settings

__version__: str
PROGRAM: str
