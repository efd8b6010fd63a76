# SPDX-License-Identifier: GPL-3.0-or-later
"""Every block file against GRC's schema and against the class it makes."""

import ast
import dataclasses
import importlib
import inspect
import re
import sys
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
import yaml
from flowgraphs import BLOCK_FILES, ROOT, platform
from gnuradio.grc.core.schema_checker import BLOCK_SCHEME, Validator

from amrq.classes import THESIS_9, LinearClass
from amrq.classifier import ENGINES
from amrq.decision import DecisionOptions
from amrq.link import POLICIES
from amrq.options import above, described, option, options_of
from amrq.recordings import FORMATS, RAW_FORMATS
from amrq.signals import Order
from amrq.sources import SourceOptions

sys.path.insert(0, str(ROOT / "scripts"))
import make_options

NOT_OFFERED = {
    "amrq_classifier_sink": {"on_decision"},
    "amrq_family_classifier": {"on_signal"},
    "amrq_symbol_rate_probe": {"on_estimate"},
}
"""Constructor arguments that make no sense in GRC: a function to be called, for scripts."""

every_block = pytest.mark.parametrize("path", BLOCK_FILES, ids=lambda path: path.name.split(".")[0])


def description(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def block_class(path: Path) -> type:
    name = description(path)["id"].removeprefix("amrq_")
    return getattr(importlib.import_module(f"gnuradio.amrq.{name}"), name)


def new_block(block_id: str, **values: str) -> Any:
    """A block in an otherwise empty flowgraph with the variable that GRC puts into every new one."""
    flow_graph = platform().make_flow_graph()
    rate = flow_graph.new_block("variable")
    rate.params["id"].set_value("samp_rate")
    rate.params["value"].set_value("48000")
    block = flow_graph.new_block(block_id)
    for name, value in {"id": "block", **values}.items():
        block.params[name].set_value(value)
    flow_graph.rewrite()
    block.validate()
    return block


def made_with(path: Path) -> dict[str, str]:
    """The keyword arguments, as code, of the constructor call in the block's `make` with all defaults."""
    code = "block = " + new_block(description(path)["id"]).templates.render("make").strip()
    name = block_class(path).__name__
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    call = next(call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == name)
    assert not call.args, "positional arguments change their meaning when the class does"
    return {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg}


def test_every_block_of_the_module_has_a_file():
    from gnuradio import amrq

    blocks = {name for name in amrq.__all__ if not is_dataclass(getattr(amrq, name))}
    assert {f"amrq_{name}" for name in blocks} == {description(path)["id"] for path in BLOCK_FILES}


@every_block
def test_schema(path):
    checker = Validator(BLOCK_SCHEME)
    assert checker.run(description(path)), checker.messages
    assert not checker.messages


@every_block
def test_name_category_and_licence(path):
    assert path.name == description(path)["id"] + ".block.yml"
    assert description(path)["category"] == "[Modulation Recognition]"
    assert path.read_text().startswith("# SPDX-License-Identifier: GPL-3.0-or-later\n")


@every_block
def test_documentation(path):
    text = description(path)["documentation"]
    assert len(text) > 200
    ports = description(path).get("inputs", []) + description(path).get("outputs", [])
    for port in ports:
        if port["domain"] == "message":
            assert port["id"] in text


@every_block
def test_make_fits_the_constructor(path):
    parameters = inspect.signature(block_class(path)).parameters
    arguments = made_with(path)
    inspect.signature(block_class(path)).bind(**arguments)
    assert parameters.keys() - arguments.keys() == NOT_OFFERED.get(description(path)["id"], set())


@every_block
def test_every_parameter_is_used(path):
    data = description(path)
    code = data["templates"]["make"]
    for parameter in data["parameters"]:
        assert re.search(rf"(\$\{{|% if ){parameter['id']}\b", code), parameter["id"]


@every_block
def test_setters(path):
    kind = block_class(path)
    templates = description(path)["templates"]
    called = [re.fullmatch(r"set_(\w+)\('?\$\{(\w+)\}'?\)", call) for call in templates.get("callbacks", [])]
    assert all(called), "a callback is not of the form set_x(${x})"
    assert all(match[1] == match[2] for match in called)
    assert {f"set_{match[1]}" for match in called} == {name for name in vars(kind) if name.startswith("set_")}


@every_block
def test_defaults_are_accepted_by_the_asserts(path):
    block = new_block(description(path)["id"])
    if block.key == "amrq_recording_source":  # the one argument without a default
        assert any("len(path) > 0" in message for message in block.get_error_messages())
        block.params["path"].set_value("recording.wav")
        block.rewrite()
        block.validate()
    messages = block.get_error_messages()
    assert [message for message in messages if "not connected" not in message] == []


@every_block
def test_message_ports_have_no_label(path):
    # It would take the place of the id in the generated code.
    ports = description(path).get("inputs", []) + description(path).get("outputs", [])
    assert not [port for port in ports if port["domain"] == "message" and "label" in port]


def options(block: str, parameter: str) -> list[str]:
    data = description(ROOT / "grc" / f"{block}.block.yml")
    return next(entry["options"] for entry in data["parameters"] if entry["id"] == parameter)


def test_choices_are_those_of_the_library():
    # That they are up to date is tested below.
    assert options("amrq_recording_source", "format") == list(FORMATS)
    for block in ("amrq_zmq_source", "amrq_packet_source"):
        assert options(block, "format") == list(RAW_FORMATS)
    assert options("amrq_modulation_source", "order") == list(get_args(Order))


def test_modulations_are_those_of_the_thesis_and_may_be_others():
    assert ast.literal_eval(made_with(ROOT / "grc" / "amrq_modulation_source.block.yml")["modulations"]) == [
        *THESIS_9
    ]
    check = description(ROOT / "grc" / "amrq_modulation_source.block.yml")["asserts"][1].strip("${} ")
    assert eval(check, {"modulations": [*THESIS_9]})
    assert eval(check, {"modulations": "QPSK"})
    assert eval(check, {"modulations": ["QPSK", LinearClass.of("own", [1, -1])]})
    assert not eval(check, {"modulations": ["QPSK", ""]})


BAD_VALUES = [
    ("amrq_modulation_source", "modulations", "['']"),
    ("amrq_modulation_source", "modulations", "[]"),
    ("amrq_modulation_source", "dwell", "0"),
    ("amrq_modulation_source", "rolloff", "1.5"),
    ("amrq_modulation_source", "phase_noise", "-0.1"),
    ("amrq_recording_source", "path", ""),
    ("amrq_chunker", "chunk_length", "0"),
    ("amrq_classifier_sink", "min_confidence", "80"),
    ("amrq_classifier_sink", "chunks_per_decision", "0"),
    ("amrq_classifier_sink", "board_batch", "0"),
    ("amrq_symbol_front_end", "symbol_rate", "30000"),
    ("amrq_symbol_front_end", "rolloff", "-1"),
    ("amrq_symbol_front_end", "offset", "40000"),
    ("amrq_carrier_recovery", "max_offset", "0.3"),
    ("amrq_classification_display", "history", "0"),
    ("amrq_classifier_sink", "log", "decisions.jsonl"),  # without a symbol rate
    ("amrq_zmq_source", "address", "http://somewhere"),
    ("amrq_zmq_source", "address", "tcp://"),
    ("amrq_packet_source", "port", "0"),
    ("amrq_packet_source", "host", ""),
    ("amrq_sigmf_recorder", "name", ""),
    ("amrq_sigmf_recorder", "queue_seconds", "0"),
    ("amrq_blind_receiver", "sample_rate", "0"),
    ("amrq_blind_receiver", "offset", "-30000"),
    ("amrq_blind_receiver", "symbol_rate", "30000"),
    ("amrq_blind_receiver", "min_confidence", "2"),
    ("amrq_emission_source", "sample_rate", "0"),
    ("amrq_emission_source", "offset", "40000"),
    ("amrq_emission_source", "bandwidth", "-1"),
    ("amrq_emission_source", "rate", "12500"),
    ("amrq_emission_source", "memory", "-1"),
    ("amrq_band_scanner", "sample_rate", "0"),
    ("amrq_band_scanner", "false_alarms", "0"),
    ("amrq_band_scanner", "budget", "0"),
    ("amrq_family_classifier", "sample_rate", "0"),
    ("amrq_family_classifier", "offset", "40000"),
    ("amrq_family_classifier", "bandwidth", "1"),
    ("amrq_family_classifier", "period", "0"),
    ("amrq_symbol_rate_probe", "sample_rate", "0"),
    ("amrq_symbol_rate_probe", "offset", "40000"),
    ("amrq_symbol_rate_probe", "interval", "-1"),
    ("amrq_symbol_rate_probe", "lowest", "-1"),
    ("amrq_symbol_rate_probe", "min_confidence", "2"),
    ("amrq_symbol_rate_probe", "length", "100"),
]


def test_a_radio_cannot_wait_for_a_board():
    block = new_block("amrq_classifier_sink", backend="zmq", live="True", board_policy="wait")
    assert any("Assertion" in message for message in block.get_error_messages())
    block = new_block("amrq_classifier_sink", backend="zmq", live="False", board_policy="wait")
    assert not any("Assertion" in message for message in block.get_error_messages())


def test_policies_are_those_of_the_library():
    assert options("amrq_classifier_sink", "board_policy") == ["auto", *POLICIES]


def test_the_block_files_are_made_from_the_records():
    stale = [
        path.name for path in BLOCK_FILES if make_options.up_to_date(path.read_text()) != path.read_text()
    ]
    assert not stale, "run scripts/make_options.py"


def test_records_are_made_of_the_blocks_parameters():
    """Each field of a record that a block takes is a parameter of it, or said to be left out."""
    for path in BLOCK_FILES:
        data = description(path)
        known = {parameter["id"] for parameter in data["parameters"]}
        for name in re.findall(r"amrq\.(\w+)\(", data["templates"]["make"]):
            if name not in make_options.RECORDS:
                continue
            marked = re.search(
                rf"# made from {name}(?: without ([\w, ]+?))?(?: with (\w+) as \w+)?(?: in .*| where .*)?\n",
                path.read_text(),
            )
            left_out = {*(marked[1] or "").split(", "), marked[2]}
            fields = {option.name for option in options_of(make_options.RECORDS[name][0])}
            assert fields - left_out <= known, name
            assert f"\n{make_options.RECORDS[name][1]}:\n" in data["documentation"], name


@pytest.mark.parametrize("name", ["radio_source", "rtl_tcp_source", "zmq_source", "packet_source"])
def test_a_sources_parameters_have_the_defaults_of_the_options(name):
    known = {option.name: option for option in options_of(SourceOptions)}
    path = ROOT / "grc" / f"amrq_{name}.block.yml"
    given = {"sample_rate", "frequency"}  # without which there is no such source
    arguments = {key: value for key, value in made_with(path).items() if key in known.keys() - given}
    assert arguments
    for key, value in arguments.items():
        expected = "cf32" if key == "format" else known[key].default  # what `auto` stands for with these
        assert ast.literal_eval(value) == expected, key
        assert inspect.signature(block_class(path)).parameters[key].default == expected, key


@pytest.mark.parametrize("backend", [name for name, kind in ENGINES.items() if not kind.attached])
def test_a_backend_is_made_with_its_own_options(backend):
    made = new_block("amrq_classifier_sink", backend=backend).templates.render("make")
    assert ("BoardBackend(" in made, "EngineBackend(" in made) == (backend == "zmq", backend != "zmq")
    assert backend == "zmq" or f"engine='{backend}'" in made
    compile(made, "make", "eval")


SAVED_BY_0_1 = {
    "amrq_classifier_sink": {
        "model": "default",
        "chunk_length": "32",
        "samples_per_symbol": "1",
        "chunks_per_decision": "8",
        "min_confidence": "0.9",
        "early_confidence": "0.99",
        "change_evidence": "12",
        "memory": "64.0",
        "track": "False",
        "name_noise": "True",
        "live": "True",
        "queue_chunks": "100",
        "threads": "2",
        "symbol_rate": "9600",
        "offset": "-1e3",
        "source": "roof",
        "log": "decisions.jsonl",
        "publish": "tcp://127.0.0.1:5556",
        "counters": "amrq.prom",
        "changes": "True",
        "every": "10",
        "backend": "zmq",
        "endpoint": "tcp://192.168.2.99:5555",
        "board_policy": "local",
        "board_batch": "64",
        "board_window": "4",
        "board_timeout": "0.5",
        "secret_key": "",
        "board_key": "",
    },
    "amrq_symbol_front_end": {
        "sample_rate": "100e3",
        "symbol_rate": "25e3",
        "offset": "10",
        "rolloff": "0.2",
        "bandwidth": "40e3",
        "gate_db": "-60",
        "timing_bandwidth": "0.004",
        "carrier_recovery": "False",
        "max_carrier_offset": "0.1",
    },
    "amrq_modulation_source": {
        "modulations": "['QPSK']",
        "order": "random",
        "dwell": "100",
        "es_n0_db": "12",
        "phase_noise": "0.01",
        "rotation": "0.3",
        "samples_per_symbol": "4",
        "rolloff": "0.2",
        "seed": "7",
    },
}
"""What the Companion saved before the blocks took records, none of it a default, and what came of it."""


@pytest.mark.parametrize("block_id", SAVED_BY_0_1)
def test_what_was_saved_before_still_means_the_same(block_id):
    saved = SAVED_BY_0_1[block_id]
    block = new_block(block_id, **saved)
    messages = [message for message in block.get_error_messages() if "not connected" not in message]
    assert messages == []
    from gnuradio import amrq

    name = block_id.removeprefix("amrq_")
    given = {}
    # The call as it is generated, with the block's class in its place taking down what it is given.
    namespace = dict(vars(amrq)) | {name: lambda **arguments: given.update(arguments)}
    eval(block.templates.render("make").strip(), {"amrq": SimpleNamespace(**namespace)})
    flat = {}
    for argument, value in given.items():
        flat |= dataclasses.asdict(value) if dataclasses.is_dataclass(value) else {argument: value}
    backend = given.get("backend")
    assert backend is None or isinstance(backend, amrq.BoardBackend)
    for parameter, value in saved.items():
        if parameter in ("backend", "threads"):  # of the other backend
            continue
        assert str(flat[parameter]) == value or float(flat[parameter]) == float(value), parameter


def test_a_new_option_is_one_field():
    """The stranger's test: a field more in a record, and the Companion has it."""

    @described
    @dataclass(frozen=True)
    class More(DecisionOptions):
        """As before, and patient."""

        patience: float = option(
            2.5, "Time after which it is over.", unit="s", within=above(0, at_most=9), advanced=True
        )

    records = make_options.RECORDS | {"DecisionOptions": (More, "Decision")}
    text = (ROOT / "grc" / "amrq_classifier_sink.block.yml").read_text()
    data = yaml.safe_load(make_options.up_to_date(text, records))
    (parameter,) = [one for one in data["parameters"] if one["id"] == "patience"]
    assert (parameter["label"], parameter["dtype"], parameter["default"]) == ("Patience (s)", "real", "2.5")
    assert parameter["category"] == "Advanced"
    assert "${ 0 < patience <= 9 }" in data["asserts"]
    assert "patience=${patience})," in data["templates"]["make"]
    assert "Patience: Time after which it is over (above 0, at most 9 s)." in data["documentation"]
    known = yaml.safe_load(text)
    data["parameters"].remove(parameter)
    assert data["parameters"] == known["parameters"]
    assert Validator(BLOCK_SCHEME).run(data)
    assert "patience: Time after which" in More.__doc__


@pytest.mark.parametrize("block_id, parameter, value", BAD_VALUES)
def test_bad_values_are_refused_in_grc(block_id, parameter, value):
    block = new_block(block_id, **{parameter: value})
    assert any("Assertion" in message for message in block.get_error_messages())
