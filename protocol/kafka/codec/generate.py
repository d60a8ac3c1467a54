#!/usr/bin/env python3
"""Turns the description of one Kafka API (messages/*.msg) into C++: the plain structs of its request and response, and their codec.

    generate.py code MESSAGE.msg OUT.h OUT.cc INCLUDE_NAME     structs, decode and encode
    generate.py dump OUT.cc MESSAGE.msg...                     for tests: every message as text, and a table of all codecs

A description:

    # What the API does; becomes the comment of the request.
    api Produce 0                     name and api key
    versions 3-13                     what the codec knows
    flexible 9+                       or: flexible never

    request
      acks: int16                     # A comment behind a field goes into the header.
      name: string?10+ 3-12 tag 0 = x field: TYPE [VERSIONS] [tag N] [= DEFAULT]
      topics: []Topic                 an array of a structure, whose fields follow, indented
        name: string
    response
      struct Topic                    a structure defined ahead, for use in several fields
        name: string

`?` after the type: null is allowed; `?10+`: from that version on. VERSIONS, where given, limits the field to a part of its structure's
versions. A field that a version does not have takes its default: the one given, else zero, empty or null. Types: int8 int16 int32 int64
bool uuid error (an int16) string bytes, records (bytes), record_slices (bytes in several pieces), or a structure.
"""
import pathlib
import re
import sys

PRIMITIVES = {  # type: (C++ type, reader and writer method, bytes on the wire: classic, flexible)
    "int8": ("std::int8_t", "int8", 1, 1),
    "int16": ("std::int16_t", "int16", 2, 2),
    "int32": ("std::int32_t", "int32", 4, 4),
    "int64": ("std::int64_t", "int64", 8, 8),
    "bool": ("bool", "boolean", 1, 1),
    "uuid": ("Uuid", "uuid", 16, 16),
    "error": ("ErrorCode", "error_code", 2, 2),
    "string": ("std::string", "string", 2, 1),
    "bytes": ("Slice", "bytes", 4, 1),
    "records": ("Slice", "bytes", 4, 1),
    "record_slices": ("std::vector<Slice>", "slices", 4, 1),
}
NEVER = 32767


def snake(name):
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def versions(text, first, last):
    match = re.fullmatch(r"(\d+)(\+|-(\d+))?", text)
    if not match:
        raise ValueError(f"bad version range {text!r}")
    low = int(match.group(1))
    high = last if match.group(2) == "+" else int(match.group(3) or low)
    if not first <= low <= high <= last:
        raise ValueError(f"versions {text} lie outside {first}-{last}")
    return low, high


class Field:
    def __init__(self, line, structure):
        text, _, self.comment = (part.strip() for part in line.partition("#"))
        match = re.fullmatch(
            r"(\w+): (\[\])?(\w+)(\?(?:(\d+)\+)?)?(?: (\d+(?:\+|-\d+)?))?(?: tag (\d+))?(?: = (\S+))?", text
        )
        if not match:
            raise ValueError(f"cannot read field {text!r}")
        self.name, array, self.type, nullable, null_from, in_versions, tag, self.default = match.groups()
        self.array = bool(array)
        self.first, self.last = structure.first, structure.last
        if in_versions:
            self.first, self.last = versions(in_versions, structure.first, structure.last)
        self.always = (self.first, self.last) == (structure.first, structure.last)
        self.nullable = bool(nullable)
        if self.type == "record_slices" and not self.nullable:
            raise ValueError("record_slices are nullable")
        self.null_from = int(null_from) if null_from else self.first
        self.tag = int(tag) if tag else None
        self.structure = None  # Of a field that is not a primitive.

    def element_type(self):
        return self.structure.cpp_name if self.structure else PRIMITIVES[self.type][0]

    def cpp_type(self, element=None):
        text = element or self.element_type()
        text = f"std::vector<{text}>" if self.array else text
        return f"std::optional<{text}>" if self.nullable else text

    def cpp_default(self):
        if self.nullable or self.array or self.structure:
            return ""
        if self.default and self.type == "string":
            return f' = "{self.default}"'
        if self.type == "error":
            return " = ErrorCode::none"
        if self.type == "bool":
            return f" = {self.default or 'false'}"
        return f" = {self.default or 0}" if self.type.startswith("int") else ""

    def differs_from_default(self, value):
        """The C++ condition on which a tagged field is written at all."""
        if self.nullable:
            return f"{value}.has_value()"
        if self.array or self.type in ("string", "bytes", "records"):
            return f"!{value}.empty()"
        if self.structure:
            return f"{value} != {self.structure.cpp_name}()"
        if self.type == "uuid":
            return f"!{value}.is_nil()"
        if self.type == "error":
            return f"{value} != ErrorCode::none"
        return f"{value} != {self.default or 'false'}" if self.type == "bool" else f"{value} != {self.default or 0}"

    def condition(self):
        """The C++ condition on `version` for the field to be there; empty: always."""
        parts = []
        if not self.always and self.first > self.outer_first:
            parts.append(f"version >= {self.first}")
        if not self.always and self.last < self.outer_last:
            parts.append(f"version <= {self.last}")
        return " && ".join(parts)

    def null_allowed(self):
        return "true" if self.null_from <= self.first else f"version >= {self.null_from}"

    def bytes_min(self, version, flexible):
        if self.tag is not None or not self.first <= version <= self.last:
            return 0
        if self.array:
            return 1 if flexible else 4
        if self.structure:
            return 1 if self.nullable else self.structure.bytes_min(version, flexible)
        return PRIMITIVES[self.type][3 if flexible else 2]


class Structure:
    def __init__(self, name, message, first, last):
        self.name, self.message, self.first, self.last = name, message, first, last
        self.cpp_name = f"{message}::{name}" if name != message else name
        self.fields = []
        self.optional = False  # Some field of this type may be null.

    def bytes_min(self, version, flexible):
        return sum(field.bytes_min(version, flexible) for field in self.fields) + (1 if flexible else 0)

    def comparable(self):
        return all(
            field.structure.comparable() if field.structure else "Slice" not in PRIMITIVES[field.type][0] for field in self.fields
        )


class Message:
    def __init__(self, name, api):
        self.name = name
        self.api = api
        self.root = Structure(name, name, api.first, api.last)
        self.structures = []  # Inner ones first.


class Api:
    def __init__(self, path):
        self.path = path
        self.comment, self.messages = [], []
        message, scopes = None, []  # Scopes: (indentation of the fields, structure).
        pending = None  # A field whose structure may begin on the next line.
        for number, line in enumerate(path.read_text().splitlines(), 1):
            try:
                words = line.split()
                if not words:
                    continue
                indentation = len(line) - len(line.lstrip())
                if indentation == 0:
                    if words[0].startswith("#"):
                        self.comment.append(line[1:].strip())
                    elif words[0] == "api":
                        self.name, self.key = words[1], int(words[2])
                    elif words[0] == "versions":
                        self.first, self.last = versions(words[1], 0, NEVER)
                    elif words[0] == "flexible":
                        self.flexible = NEVER if words[1] == "never" else int(words[1].rstrip("+"))
                    elif words[0] in ("request", "response"):
                        message = Message(self.name + words[0].capitalize(), self)
                        self.messages.append(message)
                        scopes, pending = [(2, message.root)], None
                    else:
                        raise ValueError("unknown line")
                    continue
                if words[0] == "struct":
                    structure = Structure(words[1], message.name, self.first, self.last)
                    message.structures.append(structure)
                    scopes, pending = [(2, message.root), (4, structure)], None
                    continue
                if pending and indentation == scopes[-1][0] + 2:
                    structure = Structure(pending.type, message.name, pending.first, pending.last)
                    pending.structure = structure
                    scopes.append((indentation, structure))
                while scopes[-1][0] > indentation:
                    scopes.pop()
                if scopes[-1][0] != indentation:
                    raise ValueError("bad indentation")
                owner = scopes[-1][1]
                field = Field(line, owner)
                field.outer_first, field.outer_last = owner.first, owner.last
                owner.fields.append(field)
                pending = None
                if field.type not in PRIMITIVES:
                    ahead = [known for known in message.structures if known.name == field.type]
                    field.structure = ahead[0] if ahead else None
                    pending = None if ahead else field
            except (ValueError, IndexError) as error:
                sys.exit(f"{path}:{number}: {error}")
        for message in self.messages:
            self.collect(message.root, message)
            for structure in message.structures:
                self.check(structure)

    def collect(self, structure, message):
        for field in structure.fields:
            if field.type not in PRIMITIVES and field.structure is None:
                sys.exit(f"{self.path}: structure {field.type} of {field.name} has no fields")
            if field.structure and field.nullable and not field.array:
                field.structure.optional = True
            if field.structure and field.structure not in message.structures:
                self.collect(field.structure, message)
                if field.structure.name in [known.name for known in message.structures]:
                    sys.exit(f"{self.path}: {field.structure.cpp_name} is defined twice")
                message.structures.append(field.structure)

    def check(self, structure):
        for field in structure.fields:
            if field.tag is not None and field.first < self.flexible:
                sys.exit(f"{self.path}: tagged field {field.name} in a version that is not flexible")

    def flexible_in(self, structure):
        """The C++ condition for `structure` to end with tagged fields; None: never, empty: always."""
        if structure.last < self.flexible:
            return None
        return "" if structure.first >= self.flexible else f"version >= {self.flexible}"

    def element_bytes_min(self, field):
        """The least bytes of one array element in any version that has the field."""
        least = []
        for version in range(field.first, field.last + 1):
            flexible = version >= self.flexible
            if field.structure:
                least.append(field.structure.bytes_min(version, flexible))
            else:
                least.append(PRIMITIVES[field.type][3 if flexible else 2])
        if min(least) < 1:
            sys.exit(f"{self.path}: elements of {field.name} may be empty, so a count cannot be bounded")
        return min(least)


# ------------------------------------------------------------------------------------------------------------------ code


def struct_lines(structure, indent, head=()):
    pad = " " * indent
    lines = [f"{pad}struct {structure.name} {{"]
    lines += [f"{pad}  {line}" if line else "" for line in head]
    if structure.optional and any(field.cpp_default() for field in structure.fields):
        # std::optional asks for this constructor while the enclosing struct is incomplete, when initializers of members count as unknown.
        lines += [f"{pad}  {structure.name}() {{}}", ""]
    for field in structure.fields:
        element = field.structure.name if field.structure else None
        comment = []
        if not field.always:
            last = "" if field.last == field.outer_last else str(field.last)
            comment.append(f"v{field.first}" + ("+" if not last else f"-{last}" if field.last > field.first else "") + ".")
        if field.nullable and field.null_from > field.first:
            comment.append(f"Null from v{field.null_from}.")
        if field.comment:
            comment.append(field.comment)
        comment = "  ///< " + " ".join(comment) if comment else ""
        lines.append(f"{pad}  {field.cpp_type(element)} {field.name}{field.cpp_default()};{comment}")
    if structure.comparable():
        lines += ["", f"{pad}  bool operator==(const {structure.name}&) const = default;"]
    return lines + [f"{pad}}};"]


def header(api):
    lines = [
        f"// Generated by protocol/kafka/codec/generate.py from {api.path.name}.",
        "#pragma once",
        "",
        "#include <cstdint>",
        "#include <optional>",
        "#include <string>",
        "#include <vector>",
        "",
        '#include "protocol/kafka/codec/api.h"',
        '#include "protocol/kafka/codec/errors.h"',
        '#include "storage/base/bytes.h"',
        '#include "storage/base/result.h"',
        '#include "storage/base/uuid.h"',
        "",
        "namespace tidemark::kafka {",
        "",
        "class WireWriter;",
        "",
    ]
    for message in api.messages:
        if message.name.endswith("Request"):
            lines += [f"/// {line}".rstrip() for line in api.comment]
        head = [
            f"static constexpr ApiKey kApi = ApiKey::{snake(api.name)};",
            f"static constexpr std::int16_t kMinVersion = {api.first};",
            f"static constexpr std::int16_t kMaxVersion = {api.last};",
            f"static constexpr std::int16_t kFlexibleFrom = {'kNeverFlexible' if api.flexible == NEVER else api.flexible};",
            "",
        ]
        for structure in message.structures:
            head += struct_lines(structure, 0) + [""]
        lines += struct_lines(message.root, 0, head) + [""]
    lines += [
        "/// `body` is a whole message without its header, in `version`. Errors: unsupported_version (outside kMinVersion..kMaxVersion),",
        "/// protocol_error (the detail names the field and its byte). Byte fields of the result are pieces of `body`.",
    ]
    lines += [f"Result<{m.name}> decode_{snake(m.name)}(const Slice& body, int version);" for m in api.messages]
    lines += [
        "",
        "/// Appends the message; fields that `version` does not have are left out. `version` is within kMinVersion..kMaxVersion, and `out` is",
        "/// flexible if the version is.",
    ]
    lines += [f"void encode(const {m.name}& message, int version, WireWriter& out);" for m in api.messages]
    return lines + ["", "}  // namespace tidemark::kafka"]


def read_one(field, value):
    """The statement that reads a field that is no array, or one element of an array."""
    if field.structure:
        return f"read(in, version, {value});"
    name = "" if field.array else field.name
    return f'{value} = in.{PRIMITIVES[field.type][1]}("{name}");'


def write_one(field, value, writer):
    if field.structure:
        return f"write({writer}, version, {value});"
    return f"{writer}.{PRIMITIVES[field.type][1]}({value});"


def nullable_method(field):
    method = PRIMITIVES[field.type][1]
    return method if method == "slices" else f"nullable_{method}"


def read_statement(api, field):
    target = f"message.{field.name}"
    if field.array:
        read = f"[&]({field.element_type()}& element) {{ {read_one(field, 'element')} }}"
        least = api.element_bytes_min(field)
        if field.nullable:
            return f'in.nullable_array("{field.name}", {field.null_allowed()}, {least}, {target}, {read});'
        return f'in.array("{field.name}", {least}, {target}, {read});'
    if field.structure:
        kind = "nullable_structure" if field.nullable else "structure"
        return f'in.{kind}("{field.name}", {target}, [&]({field.element_type()}& inner) {{ read(in, version, inner); }});'
    if field.nullable:
        return f'{target} = in.{nullable_method(field)}("{field.name}", {field.null_allowed()});'
    return read_one(field, target)


def write_statement(field, writer="out"):
    value = f"message.{field.name}"
    if field.array:
        element = field.element_type()
        element = element if element.startswith("std::int") else f"const {element}&"
        write = f"[&]({element} element) {{ {write_one(field, 'element', writer)} }}"
        if field.nullable:
            return f"{writer}.nullable_array({value}, {field.null_allowed()}, {write});"
        return f"{writer}.array({value}, {write});"
    if field.structure and field.nullable:
        return f"{writer}.nullable_structure({value}, [&](const {field.element_type()}& inner) {{ {write_one(field, 'inner', writer)} }});"
    if field.nullable:
        return f"{writer}.{nullable_method(field)}({value}, {field.null_allowed()});"
    return write_one(field, value, writer)


def guarded(field, statement, pad="  "):
    condition = field.condition()
    return f"{pad}if ({condition}) {statement}" if condition else f"{pad}{statement}"


def joined(*conditions):
    return " && ".join(condition for condition in conditions if condition)


def read_function(api, structure):
    lines = [f"void read(WireReader& in, [[maybe_unused]] int version, {structure.cpp_name}& message) {{"]
    lines += [guarded(field, read_statement(api, field)) for field in structure.fields if field.tag is None]
    flexible = api.flexible_in(structure)
    if flexible is not None:
        tagged = [field for field in structure.fields if field.tag is not None]
        if not tagged:
            lines.append(f"  if ({flexible}) in.skip_tags();" if flexible else "  in.skip_tags();")
        else:
            pad = "    " if flexible else "  "
            if flexible:
                lines.append(f"  if ({flexible}) {{")
            lines.append(f"{pad}for (auto tags = in.tags(); in.next(tags);) {{")
            for field in tagged:
                condition = joined(f"tags.number == {field.tag}", field.condition())
                lines += [f"{pad}  if ({condition}) {{", f"{pad}    {read_statement(api, field)}", f"{pad}    continue;", f"{pad}  }}"]
            lines += [f"{pad}  in.skip();", f"{pad}}}"]
            if flexible:
                lines.append("  }")
    return lines + ["}", ""]


def write_function(api, structure):
    message = "message" if structure.fields else "/*message*/"
    lines = [f"void write(WireWriter& out, [[maybe_unused]] int version, const {structure.cpp_name}& {message}) {{"]
    lines += [guarded(field, write_statement(field)) for field in structure.fields if field.tag is None]
    flexible = api.flexible_in(structure)
    if flexible is not None:
        tagged = sorted((field for field in structure.fields if field.tag is not None), key=lambda field: field.tag)
        if not tagged:
            lines.append(f"  if ({flexible}) out.uvarint(0);" if flexible else "  out.uvarint(0);")
        else:
            pad = "    " if flexible else "  "
            if flexible:
                lines.append(f"  if ({flexible}) {{")
            for field in tagged:
                condition = joined(field.condition(), field.differs_from_default(f"message.{field.name}"))
                lines.append(f"{pad}const bool has_{field.name} = {condition};")
            count = " + ".join(f"std::uint32_t{{has_{field.name}}}" for field in tagged)
            lines.append(f"{pad}out.uvarint({count});")
            for field in tagged:
                statement = write_statement(field, "value")
                lines.append(f"{pad}if (has_{field.name}) out.tag({field.tag}, [&](WireWriter& value) {{ {statement} }});")
            if flexible:
                lines.append("  }")
    return lines + ["}", ""]


def source(api, include_name):
    lines = [
        f"// Generated by protocol/kafka/codec/generate.py from {api.path.name}.",
        f'#include "{include_name}"',
        "",
        '#include "protocol/kafka/codec/wire_reader.h"',
        '#include "protocol/kafka/codec/wire_writer.h"',
        '#include "storage/base/check.h"',
        "",
        "namespace tidemark::kafka {",
        "namespace {",
        "",
    ]
    for message in api.messages:
        for structure in message.structures + [message.root]:
            lines += read_function(api, structure) + write_function(api, structure)
    lines += ["}  // namespace", ""]
    for message in api.messages:
        name = message.name
        lines += [
            f"Result<{name}> decode_{snake(name)}(const Slice& body, int version) {{",
            f'  if (version < {name}::kMinVersion || version > {name}::kMaxVersion) return unknown_version("{name}", version);',
            f"  WireReader in(body, version >= {name}::kFlexibleFrom);",
            f"  {name} message;",
            "  read(in, version, message);",
            f'  if (const Status done = in.finish("{name}", version); !done) return done.error();',
            "  return message;",
            "}",
            "",
            f"void encode(const {name}& message, int version, WireWriter& out) {{",
            f"  CHECK(version >= {name}::kMinVersion && version <= {name}::kMaxVersion);",
            f"  CHECK(out.flexible() == (version >= {name}::kFlexibleFrom));",
            "  write(out, version, message);",
            "}",
            "",
        ]
    return lines + ["}  // namespace tidemark::kafka"]


# ------------------------------------------------------------------------------------------------------------------ dump


def dump(apis):
    lines = ["// Generated by protocol/kafka/codec/generate.py for the tests of the codec.", '#include "tests/protocol/kafka/message_dump.h"', ""]
    lines += [f'#include "protocol/kafka/codec/messages/{snake(api.name)}.h"' for api in apis]
    lines += ["", "namespace tidemark::kafka {", ""]
    table = []
    for api in apis:
        for message in api.messages:
            for structure in message.structures + [message.root]:
                parameter = "message" if structure.fields else "/*message*/"
                lines += [f"void dump(Dump& out, const {structure.cpp_name}& {parameter}) {{", "  out.begin();"]
                lines += [f'  out.field("{field.name}", message.{field.name});' for field in structure.fields]
                lines += ["  out.end();", "}"]
            kind = "request" if message.name.endswith("Request") else "response"
            table.append(f'      message_codec<{message.name}, decode_{snake(message.name)}>("{snake(api.name)}", "{kind}"),')
    lines += ["", "std::vector<MessageCodec> all_message_codecs() {", "  return {"] + table + ["  };", "}", "", "}  // namespace tidemark::kafka"]
    return lines


def write_if_changed(path, lines):
    text = "\n".join(lines) + "\n"
    path = pathlib.Path(path)
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def main(arguments):
    if arguments[0] == "code":
        message, out_header, out_source, include_name = arguments[1:]
        api = Api(pathlib.Path(message))
        write_if_changed(out_header, header(api))
        write_if_changed(out_source, source(api, include_name))
    else:
        write_if_changed(arguments[1], dump([Api(pathlib.Path(path)) for path in arguments[2:]]))


if __name__ == "__main__":
    main(sys.argv[1:])
