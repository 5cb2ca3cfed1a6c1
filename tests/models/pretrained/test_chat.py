"""Chat templates: rendered exactly as by transformers, within limits."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.models.pretrained.gguf_files import TEMPLATE as CHATML
from trimtab.config import DataError
from trimtab.config.offline import offline_import
from trimtab.models.pretrained.chat import chat_prompt

INSTRUCTION = """{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] %}{% set rest = messages[1:] %}
{%- else %}{% set system = false %}{% set rest = messages %}{% endif %}
{%- for message in rest %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{ raise_exception('Roles must alternate user/assistant') }}
    {%- endif %}
    {%- if loop.index0 == 0 and system %}{% set content = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + message['content'] %}
    {%- else %}{% set content = message['content'] %}{% endif %}
    {%- if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}
    {%- else %}{{ ' ' + content | trim + ' ' + eos_token }}{% endif %}
{%- endfor %}"""
HEADERS = """{{- bos_token }}
{%- if not date_string is defined %}{% set date_string = strftime_now("%Y") %}{% endif %}
{%- if tools is not none %}{{- tools | tojson(indent=4) }}{% endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\nToday: " + date_string + "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"""
TURNS = """{{ bos_token }}{% for message in messages %}
{% if message['role'] == 'assistant' %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}
{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}
{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"""
THINKING = """{% set ns = namespace(is_first=false, system_prompt='', last=-1) %}
{%- for message in messages %}{% if message['role'] == 'system' %}{% set ns.system_prompt = message['content'] %}{% endif %}{% endfor %}
{{- ns.system_prompt }}
{%- for message in messages %}
    {%- if message['role'] == 'system' %}{% continue %}{% endif %}
    {%- set content = message['content'].split('</think>')[-1].lstrip('\\n') %}
    {%- if message['role'] == 'assistant' %}{% generation %}{{ '<|Assistant|>' + content + eos_token }}{% endgeneration %}
    {%- else %}{{ '<|User|>' + content }}{% endif %}
    {%- if loop.index > 50 %}{% break %}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|Assistant|><think>\\n' }}{% endif %}"""
FUNCTIONS = """{%- macro one(message, last=false) -%}
{{ '### ' ~ message.role | upper ~ ':' ~ (' ' if not last else '') }}{{ message.content | replace('\\n', ' ') | tojson }}
{%- endmacro -%}
{{ image_token }}{{ pad_token | default('none', true) }}
{%- set known = dict(user='human', assistant='bot') %}
{% for message in messages | rejectattr('role', 'equalto', 'system') -%}
    {{ one(message, loop.last) }} {{ known.get(message.role, '?') }} {{ message.content | length }}
{% endfor %}
{{ messages | map(attribute='role') | join(',') }}
"""
STYLES = {
    "chatml": CHATML,
    "instruction": INSTRUCTION,
    "headers": HEADERS,
    "turns": TURNS,
    "thinking": THINKING,
    "functions": FUNCTIONS,
    "carriage returns": CHATML.replace("{% endfor %}", "\r\n{% endfor %}\r\n"),
}
CHATS = [
    [{"role": "user", "content": " Why <b>?\näß☃ "}],
    [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "<think>a</think>\n\nTwo"},
        {"role": "user", "content": "'Three' & \"four\""},
    ],
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a tokenizer of whole words and the config of its special tokens."""
    words = {"<s>": 0, "</s>": 1, "a": 2, "<image>": 3}
    model = {"type": "WordLevel", "vocab": words, "unk_token": "a"}
    tokenizer = {"version": "1.0", "added_tokens": [], "model": model}
    for part in ("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder"):
        tokenizer[part] = None
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    tokens = {"bos_token": "<s>", "eos_token": {"content": "</s>", "__type": "AddedToken"}, "pad_token": None}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "extra_special_tokens": {"image_token": "<image>"}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({**tokens, **settings}))
    return tmp_path


def use_template(folder: Path, template: str) -> None:
    (folder / "chat_template.jinja").write_bytes(template.encode())


def transformers_prompt(folder: Path, chat: list[dict[str, str]]) -> Any:
    tokenizer = offline_import("transformers").AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    return tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)


@pytest.mark.parametrize("style", STYLES)
def test_a_prompt_equals_that_of_transformers(style: str, folder: Path) -> None:
    use_template(folder, STYLES[style])
    for chat in CHATS:
        assert chat_prompt(folder, chat) == transformers_prompt(folder, chat)


@pytest.mark.parametrize(
    "template",
    [CHATML, [{"name": "tool_use", "template": "x"}, {"name": "default", "template": CHATML}]],
    ids=["one", "several"],
)
def test_a_template_in_the_tokenizers_config_is_used_if_there_is_no_file(template: Any, folder: Path) -> None:
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": template}))
    assert chat_prompt(folder, CHATS[0]) == transformers_prompt(folder, CHATS[0])
    use_template(folder, "{{ bos_token }}file")
    assert chat_prompt(folder, CHATS[0]) == transformers_prompt(folder, CHATS[0]) == "<s>file"


def test_special_tokens_of_an_older_folder_are_used(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    (folder / "special_tokens_map.json").write_text('{"bos_token": "<s>", "eos_token": {"content": "</s>"}}')
    use_template(folder, "{{ bos_token }}|{{ eos_token }}|{{ unk_token }}|")
    assert chat_prompt(folder, CHATS[0]) == transformers_prompt(folder, CHATS[0]) == "<s>|</s>||"


DOUBLED = "{% set ns = namespace(text='xxxxxxxxxxxxxxxx') %}{% for i in range(60) %}{% set ns.text = ns.text ~ ns.text %}{% endfor %}"
NESTED = "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (DOUBLED, "it needs more than 512 MB of memory"),
        ("{{ '%1000000000d' % 1 }}", "it needs more than 512 MB of memory"),
        ("{{ 'x' * 5000000 }}", "its result has more than 4,194,304 bytes"),
        ("{{ 1 + 'a' }}", "TypeError: unsupported operand"),
        ("{{ 1 // 0 }}", "ZeroDivisionError"),
        ("{{ range(100001) }}", "OverflowError|Range too big"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "it is nested too deeply"),
        ("{{ " + "(" * 5000 + ")" * 5000 + " }}", "it is nested too deeply|the reading process crashed"),
        ("{% for %}", "Expected an expression|unexpected"),
        ("{{ raise_exception('only one question') }}", "only one question"),
        ("{{ ''.__class__.__mro__ }}", "unsafe|access to attribute"),
        ("{{ messages.append(1) }}", "unsafe|not safely callable"),
        ("{{ messages[7].content }}", "has no element 7"),
        ("{{ nothing.at.all }}", "'nothing' is undefined"),
        ("{{ namespace(__class__=1) }}", "no attribute '__class__'"),
        ("{{ '\\ud800' }}", "its output is not valid Unicode"),
        ("", "its output is empty"),
        ("{% if false %}x{% endif %}", "its output is empty"),
    ],
)
def test_a_template_that_fails_or_exceeds_a_limit_is_refused_in_one_line(
    template: str, reason: str, folder: Path
) -> None:
    use_template(folder, template)
    with pytest.raises(
        DataError, match=rf"^The chat template of the model in \S+ cannot be used: .*({reason})"
    ) as caught:
        chat_prompt(folder, CHATS[0])
    assert len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_template_that_never_ends_is_stopped(folder: Path) -> None:
    use_template(folder, NESTED)
    with pytest.raises(DataError, match="it takes more than 5 s of processor time"):
        chat_prompt(folder, CHATS[0])


@pytest.mark.parametrize(
    "config", ['{"chat_template": 7}', '{"chat_template": [7]}', '{"chat_template": [{"name": 1}]}', "{}"]
)
def test_a_folder_without_a_template_says_so(config: str, folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text(config)
    with pytest.raises(DataError, match="has no chat template"):
        chat_prompt(folder, CHATS[0])


def test_a_template_that_is_not_utf_8_is_refused(folder: Path) -> None:
    (folder / "chat_template.jinja").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="is not text in UTF-8"):
        chat_prompt(folder, CHATS[0])
