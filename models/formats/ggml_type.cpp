#include "models/formats/ggml_type.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace orthant::models {
namespace {

struct NamedType {
  uint32_t number;
  std::string_view name;
};

// Also the types that cannot be read, so that an error can name them.
constexpr std::array kTypeNames = std::to_array<NamedType>({
    {0, "F32"},     {1, "F16"},    {2, "Q4_0"},     {3, "Q4_1"},    {6, "Q5_0"},     {7, "Q5_1"},
    {8, "Q8_0"},    {9, "Q8_1"},   {10, "Q2_K"},    {11, "Q3_K"},   {12, "Q4_K"},    {13, "Q5_K"},
    {14, "Q6_K"},   {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"}, {18, "IQ3_XXS"}, {19, "IQ1_S"},
    {20, "IQ4_NL"}, {21, "IQ3_S"}, {22, "IQ2_S"},   {23, "IQ4_XS"}, {24, "I8"},      {25, "I16"},
    {26, "I32"},    {27, "I64"},   {28, "F64"},     {29, "IQ1_M"},  {30, "BF16"},    {34, "TQ1_0"},
    {35, "TQ2_0"},  {39, "MXFP4"},
});

}  // namespace

std::string ggml_name(GgmlType type) {
  const auto number = static_cast<uint32_t>(type);
  const auto* found = std::ranges::find(kTypeNames, number, &NamedType::number);
  return found == kTypeNames.end() ? fmt::format("type {}", number) : std::string(found->name);
}

std::string_view readable_ggml_types() {
  return "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K";
}

}  // namespace orthant::models
