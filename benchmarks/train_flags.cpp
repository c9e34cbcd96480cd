#include "benchmarks/train_flags.h"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <vector>

#include "runtime/core/error.h"

namespace orthant::benchmarks {
namespace {

constexpr std::array<std::string_view, 8> kShapeFlags = {"--d_model", "--latents",     "--batch", "--k",
                                                         "--threads", "--repetitions", "--json",  "--check"};
constexpr std::array<std::string_view, 2> kDevices = {"cpu", "cuda"};
constexpr std::array<std::string_view, 3> kArchitectures = {"topk", "batchtopk", "ortsae"};

template <size_t Count>
bool is_one_of(const std::array<std::string_view, Count>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

[[noreturn]] void refuse(std::string_view name, std::string_view value, std::string_view why,
                         std::string_view suggestion) {
  throw Error(ExitCode::kConfig, {.problem = fmt::format("{}={} cannot be measured", name, value),
                                  .why = std::string(why),
                                  .suggestion = std::string(suggestion)});
}

int positive_number(std::string_view name, std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value > 0) return value;
  throw Error(ExitCode::kUsage, {.problem = fmt::format("{}={} cannot be used", name, text),
                                 .why = "a whole number above 0 is expected",
                                 .suggestion = fmt::format("Write {}=4.", name)});
}

void read_train_flag(TrainFlags& flags, std::string_view name, std::string_view value) {
  if (name == "--architecture") {
    if (!is_one_of(kArchitectures, value)) {
      refuse(name, value, "it is no architecture of this benchmark", "Use topk, batchtopk or ortsae.");
    }
    flags.architecture = value;
  } else if (name == "--source") {
    flags.source = value;
  } else if (name == "--period") {
    flags.period = positive_number(name, value);
  } else if (name == "--mesh.data") {
    flags.mesh.data = positive_number(name, value);
  } else if (name == "--mesh.dictionary") {
    flags.mesh.dictionary = positive_number(name, value);
  } else if (name == "--precision") {
    flags.precision = kernels::precision_from_name(value);
  } else if (name == "--optimizer") {
    if (value != "true" && value != "false") refuse(name, value, "it is neither true nor false", "");
    flags.optimizer = value == "true";
  } else if (name == "--device") {
    if (!is_one_of(kDevices, value)) refuse(name, value, "it is no device", "Use cpu or cuda.");
    flags.device = value;
  } else if (name == "--card") {
    flags.card = value;
  } else if (name == "--predict") {
    flags.predict_only = true;
  } else {
    throw Error(ExitCode::kUsage,
                {.problem = fmt::format("unknown flag '{}'", name),
                 .suggestion = "Flags are --d_model --latents --batch --k --threads --repetitions --period "
                               "--mesh.data --mesh.dictionary (each with =NUMBER), "
                               "--architecture=topk|batchtopk|ortsae, --precision=f32|tf32|bf16, "
                               "--source=synthetic|STORE, --optimizer=true|false, --device=cpu|cuda, "
                               "--card=a100|h100|h200|b200, --predict, --json, --check."});
  }
}

}  // namespace

TrainFlags read_train_flags(int argc, char** argv) {
  TrainFlags flags;
  std::vector<char*> shape_arguments = {argv[0]};
  bool threads_given = false, precision_given = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const size_t equals = argument.find('=');
    const std::string_view name = argument.substr(0, equals);
    if (is_one_of(kShapeFlags, name)) {
      shape_arguments.push_back(argv[i]);
      threads_given = threads_given || name == "--threads";
    } else {
      precision_given = precision_given || name == "--precision";
      read_train_flag(flags, name, equals == std::string_view::npos ? "" : argument.substr(equals + 1));
    }
  }
  flags.shape = read_flags(static_cast<int>(shape_arguments.size()), shape_arguments.data());
  if (!threads_given) flags.shape.threads = 0;
  const bool on_cuda = flags.device == "cuda" || flags.predict_only;
  if (on_cuda && !precision_given) flags.precision = kernels::Precision::kBF16;
  return flags;
}

}  // namespace orthant::benchmarks
