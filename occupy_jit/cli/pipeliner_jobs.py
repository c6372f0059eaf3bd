"""Jobs of the CCP-EM Pipeliner and Doppio: forms that become command lines of this program, and displays of results.

The Pipeliner finds the classes through the entry points ``ccpem_pipeliner.jobs`` and imports them; nothing here does.
Needs ccpem-pipeliner, which the extra `pipeliner` brings.
"""

# pyright: reportMissingImports=false

import csv
import json
import os
from collections.abc import Sequence

from pipeliner.display_tools import create_results_display_object, make_map_model_thumb_and_display
from pipeliner.external_program_utils import ExternalProgram
from pipeliner.job_options import (
    BooleanJobOption,
    FileDescription,
    FloatJobOption,
    InputNodeJobOption,
    JobOptionValidationResult,
    MultiInputNodeJobOption,
    StringJobOption,
)
from pipeliner.nodes import NODE_ATOMCOORDS, NODE_DENSITYMAP, NODE_IMAGE3D, NODE_LOGFILE, NODE_MASK3D
from pipeliner.pipeliner_job import PipelinerCommand, PipelinerJob, Ref
from pipeliner.results_display_objects import ResultsDisplayObject

from occupy_jit import PROGRAM, __version__
from occupy_jit.runs.plan.names import Names, names_for

_MAPS = FileDescription("3D map", [".mrc", ".map", ".mrc.gz", ".map.gz"])
_MODELS = FileDescription("Atomic model", [".cif", ".mmcif", ".pdb", ".ent"])
_LARGEST_TABLE = 200
"""Displayed rows of a table; the file has all."""

METHOD = Ref(
    authors=["Forsberg BO", "Shah PNM", "Burt A"],
    title="A robust normalized local filter to estimate compositional heterogeneity directly from cryo-EM maps",
    journal="Nature Communications", year="2023", volume="14", doi="10.1038/s41467-023-41478-1")


def _map_option(label: str, help_text: str, required: bool = False) -> InputNodeJobOption:
    return InputNodeJobOption(label=label, node_type=NODE_DENSITYMAP, pattern=_MAPS, help_text=help_text,
                              is_required=required)


class _Job(PipelinerJob):
    """Base class of the jobs."""

    OUT_DIR = PROGRAM
    NAME = SHORT = LONG = ""

    def __init__(self) -> None:
        super().__init__()
        info = self.jobinfo
        info.display_name, info.short_desc, info.long_desc = self.NAME, self.SHORT, self.LONG
        info.version, info.job_author = __version__, "the occupy_jit developers"
        info.programs = [ExternalProgram(PROGRAM, vers_com=[PROGRAM, "--version"])]
        info.references = [METHOD]
        self.add_options()
        self.get_runtab_options(threads=True, addtl_args=True)

    def add_options(self) -> None:
        raise NotImplementedError

    def given(self, name: str) -> str:
        """Text of an option, empty if not given."""
        return self.joboptions[name].get_string()

    def command(self, *arguments: str) -> list[PipelinerCommand]:
        """The program with these arguments and the common ones."""
        threads = str(self.get_nr_threads())
        return [PipelinerCommand([PROGRAM, *arguments, "--report", "--output-dir", self.output_dir,
                                  "--threads", threads, *self.parse_additional_args()])]

    def path(self, name: str) -> str:
        """Path of an output."""
        return os.path.join(self.output_dir, name)

    def page(self, title: str, name: str) -> list[ResultsDisplayObject]:
        """An HTML page, if there is one."""
        path = self.path(name)
        if not os.path.exists(path):
            return []
        return [create_results_display_object("html", title=title, html_file=path, associated_data=[path])]

    def table(self, title: str, name: str) -> list[ResultsDisplayObject]:
        """A CSV file as a table, if it has rows."""
        path = self.path(name)
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8", newline="") as file:
            headers, *rows = csv.reader(file)
        if not rows:
            return []
        more = f" (the first {_LARGEST_TABLE} of {len(rows)})" if len(rows) > _LARGEST_TABLE else ""
        return [create_results_display_object("table", title=title + more, headers=headers,
                                              table_data=rows[:_LARGEST_TABLE], associated_data=[path])]


class _OneMap(_Job):
    """A job on one map, with or without its half maps."""

    def add_map_options(self) -> None:
        options = self.joboptions
        options["input_map"] = _map_option("Map", "The map, preferably unmasked: its solvent shows the noise.", True)
        options["half_map_1"] = _map_option("First half map", "Two half maps measure the local noise and give "
                                                              "errors. Optional.")
        options["half_map_2"] = _map_option("Second half map", "See the first.")

    def map_arguments(self) -> list[str]:
        halves = [self.given("half_map_1"), self.given("half_map_2")]
        return ["-i", self.given("input_map"), *(["--half-maps", *halves] if all(halves) else [])]

    def additional_joboption_validation(self) -> list[JobOptionValidationResult]:
        halves = [self.joboptions[name] for name in ("half_map_1", "half_map_2")]
        if bool(halves[0].value) == bool(halves[1].value):
            return []
        return [JobOptionValidationResult(result_type="error", raised_by=halves,
                                          message="Give both half maps, or none")]

    @property
    def names(self) -> Names:
        """Names of the outputs."""
        return names_for(self.given("input_map"), self.output_dir)

    def verdicts(self) -> list[ResultsDisplayObject]:
        """Verdicts on the map, from the record."""
        path = self.path(f"occupy_{self.names.stem}.json")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as file:
            found = [verdict["sentence"] for verdict in json.load(file)["verdicts"]]
        if not found:
            return []
        return [create_results_display_object("text", title="Remarks on this map",
                                              display_data="\n".join(found), associated_data=[path])]

    def report(self) -> list[ResultsDisplayObject]:
        return self.page("Report", f"report_{self.names.stem}.html")


class LocalScaleJob(_OneMap):
    """Local scale of a map, and the map equalised."""

    PROCESS_NAME = "occupy.postprocess.local_scale"
    CATEGORY_LABEL = "Map Postprocessing"
    NAME, SHORT = "Local scale", "Local scale of a map: where is density missing in some particles?"
    LONG = ("Estimates a local scale between 0 and 1, a proxy for occupancy, from one map. With amplification weak "
            "regions are brought to full contrast, each resolution band only as far as its noise allows.")

    def add_options(self) -> None:
        self.add_map_options()
        options = self.joboptions
        options["solvent_def"] = InputNodeJobOption(
            label="Rough mask of the content", node_type=NODE_MASK3D, pattern=_MAPS,
            help_text="Improves confidence and solvent model, never changes the scale. Optional.")
        options["resolution"] = FloatJobOption(
            label="Resolution of the worst content of interest (Å)", hard_min=0.1, step_value=0.5,
            help_text="Sets the low-pass and the size of the ball. Default: from the voxel size.")
        options["amplify"] = BooleanJobOption(label="Write the equalised map?", default_value=True,
                                              help_text="Partial occupancy is amplified in content, not in solvent.")
        options["exclude_solvent"] = BooleanJobOption(label="Set solvent to 0?", default_value=False,
                                                      help_text="Otherwise solvent is not changed.")

    def create_output_nodes(self) -> None:
        names = self.names
        self.add_output_node(f"scale_{names.stem}.mrc", NODE_IMAGE3D, ["occupy", "localscale"])
        if self.joboptions["amplify"].get_boolean():
            self.add_output_node(names.modified, NODE_DENSITYMAP, ["occupy", "equalised"])
        self.add_output_node(f"log_{names.stem}.txt", NODE_LOGFILE, ["occupy"])

    def get_commands(self) -> list[PipelinerCommand]:
        arguments = self.map_arguments()
        if self.given("solvent_def"):
            arguments += ["--solvent-def", self.given("solvent_def")]
        resolution = self.joboptions["resolution"].value  # None where there is none
        if resolution:
            arguments += ["--resolution", f"{resolution:g}"]
        arguments += [flag for name, flag in (("amplify", "--amplify"), ("exclude_solvent", "--exclude-solvent"))
                      if self.joboptions[name].get_boolean()]
        return self.command(*arguments)

    def create_results_display(self) -> Sequence[ResultsDisplayObject]:
        maps = [path for path in (self.path(f"scale_{self.names.stem}.mrc"), self.path(self.names.modified))
                if os.path.exists(path)]
        shown = [make_map_model_thumb_and_display(outputdir=self.output_dir, maps=[path]) for path in maps]
        return [*self.report(), *self.verdicts(), *shown]


class OccupancyJob(_OneMap):
    """Occupancy of every part of a model."""

    PROCESS_NAME = "occupy.atomic_model_validation.occupancy"
    CATEGORY_LABEL = "Atomic Model Validation"
    NAME, SHORT = "Occupancy of a model", "Occupancy of every chain and ligand, with errors"
    LONG = ("Fits the occupancy and relative B factor of every chain and ligand of an atomic model to a map, all "
            "together, with standard errors. The model must be fitted into the map.")

    def add_options(self) -> None:
        self.add_map_options()
        options = self.joboptions
        options["model"] = InputNodeJobOption(label="Atomic model", node_type=NODE_ATOMCOORDS, pattern=_MODELS,
                                              help_text="mmCIF or PDB, fitted into the map.", is_required=True)
        options["parts"] = StringJobOption(
            label="Parts defined by ranges of residues",
            help_text="NAME=CHAIN:FIRST-LAST, separated by blanks. Optional.")
        options["reference_part"] = StringJobOption(
            label="Parts that are fully occupied", help_text="Names, separated by blanks. Default: those that agree "
            "with the fullest.")
        options["residues"] = BooleanJobOption(label="Also every residue?", default_value=False,
                                               help_text="Takes longer. ChimeraX then colours the model by residue.")

    def create_output_nodes(self) -> None:
        stem = self.names.stem
        self.add_output_node(f"model_{stem}.cif", NODE_ATOMCOORDS, ["occupy", "occupancies"])
        self.add_output_node(f"scale_{stem}.mrc", NODE_IMAGE3D, ["occupy", "localscale"])
        self.add_output_node(f"log_{stem}.txt", NODE_LOGFILE, ["occupy"])

    def get_commands(self) -> list[PipelinerCommand]:
        arguments = [*self.map_arguments(), "--model", self.given("model")]
        for name, flag in (("parts", "--parts"), ("reference_part", "--reference-part")):
            if self.given(name):
                arguments += [flag, *self.given(name).split()]
        if self.joboptions["residues"].get_boolean():
            arguments.append("--residues")
        return self.command(*arguments)

    def create_results_display(self) -> Sequence[ResultsDisplayObject]:
        stem = self.names.stem
        model, scale = self.path(f"model_{stem}.cif"), self.path(f"scale_{stem}.mrc")
        shown = []
        if os.path.exists(model):
            shown = [make_map_model_thumb_and_display(outputdir=self.output_dir, maps=[scale], models=[model])]
        return [*self.table("Occupancy of the parts", f"parts_{stem}.csv"), *self.report(), *self.verdicts(), *shown]


class StatesJob(_Job):
    """States of a complex in many volumes."""

    PROCESS_NAME = "occupy.heterogeneity.states"
    CATEGORY_LABEL = "Continuous Heterogeneity"
    NAME, SHORT = "States", "States of a complex: which parts does each volume contain?"
    LONG = ("Fits the parts of a model to many volumes of one complex (classes, or volumes decoded from a latent "
            "space), and divides the volumes into states, with the parts of each and the order in which they come.")

    def add_options(self) -> None:
        options = self.joboptions
        options["volumes"] = MultiInputNodeJobOption(
            label="Volumes", node_type=NODE_DENSITYMAP, pattern=_MAPS, is_required=True,
            help_text="Three or more maps on one grid, aligned to each other.")
        options["model"] = InputNodeJobOption(label="Atomic model", node_type=NODE_ATOMCOORDS, pattern=_MODELS,
                                              help_text="Must contain all parts of all volumes. Without a model the "
                                              "program finds blocks that come and go together.")
        options["parts"] = StringJobOption(
            label="Parts defined by ranges of residues",
            help_text="NAME=CHAIN:FIRST-LAST, separated by blanks. Optional.")

    def create_output_nodes(self) -> None:
        """The number of states and mean maps is known only afterwards."""

    def create_post_run_output_nodes(self) -> None:
        for name in sorted(os.listdir(self.output_dir)):
            if name.startswith("mean_") and name.endswith(".mrc"):
                self.add_output_node(name, NODE_DENSITYMAP, ["occupy", "state"])
            elif name.startswith("block_") and name.endswith(".mrc"):
                self.add_output_node(name, NODE_MASK3D, ["occupy", "block"])

    def get_commands(self) -> list[PipelinerCommand]:
        arguments = ["-i", *self.joboptions["volumes"].get_list(), "--states"]
        if self.given("model"):
            arguments += ["--model", self.given("model")]
        if self.given("parts"):
            arguments += ["--parts", *self.given("parts").split()]
        return self.command(*arguments)

    def create_results_display(self) -> Sequence[ResultsDisplayObject]:
        tables = (("States", "states.csv"), ("Parts in every state", "states_parts.csv"),
                  ("Order of parts", "states_order.csv"), ("State of every volume", "states_volumes.csv"))
        return [*self.page("States", "states.html"), *(table for row in tables for table in self.table(*row))]
