// The parts that every form of the reference (help, man page, Markdown) shares.
#pragma once

#include <string>

#include "launch/program/verb.h"

namespace orthant::launch {

inline constexpr char kProgramSummary[] =
    "orthant: harvest activations of language models, train sparse autoencoders on them, measure and export "
    "them.";
inline constexpr char kProgramGrammar[] =
    "  orthant VERB [INPUT...] [--config=FILE] [--field=value | --group.field=value ...]\n"
    "  mpirun -n N orthant VERB ...\n";
inline constexpr char kLayersText[] =
    "--config=FILE gives the same fields as Protobuf text format or JSON; flags win over the file, the file "
    "over the\n"
    "defaults. Lists: repeat the flag or separate by commas. A bool may leave out its value.";

// "orthant export SAE [--config=FILE] [--field=value ...]"
[[nodiscard]] std::string usage_line(const Verb& verb);
// What stands for the value of a flag: "INT", "BOOL", "TEXT,...".
[[nodiscard]] std::string value_name(const Field& field);
// "tokens; default 4096; at least 1", or "".
[[nodiscard]] std::string details_of(const Field& field);
// How many of the schema's fields, which come first, are the verb's own.
[[nodiscard]] size_t own_field_count(const Verb& verb, const ConfigSchema& schema);
// How many fields after these belong to the verb that they are borrowed from.
[[nodiscard]] size_t borrowed_field_count(const Verb& verb, const ConfigSchema& schema);
// Its name, "train" of "plan train".
[[nodiscard]] std::string lender_of(const Verb& verb);

}  // namespace orthant::launch
