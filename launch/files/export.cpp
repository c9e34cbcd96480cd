// `orthant export PATH`: a dictionary or rows of a store in the format of another program.

#include <fmt/format.h>

#include <boost/json.hpp>
#include <filesystem>

#include "launch/config.pb.h"
#include "launch/program/path_field.h"
#include "launch/program/verb.h"
#include "runtime/core/error.h"
#include "runtime/storage/export_store.h"
#include "runtime/storage/file.h"
#include "runtime/storage/inspect.h"
#include "sae/exchange/exchange.h"
#include "sae/exchange/load_dictionary.h"

namespace orthant::launch {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

const std::string& given_target(const Invocation& invocation) {
  const std::string& out = invocation.common.out();
  if (out.empty()) {
    throw Error(ExitCode::kUsage, ErrorText{.problem = "verb 'export' needs a target",
                                            .suggestion = "Give a file or directory with --out."});
  }
  if (fs::exists(out + "/run.json") || fs::exists(out + "/store.json")) {
    throw Error(ExitCode::kConfig, {.problem = fmt::format("'{}' holds a run or a store", out),
                                    .why = "an export would write between its files",
                                    .suggestion = "Give another --out."});
  }
  return out;
}

json::array names(const std::vector<std::string>& files) {
  return json::array(files.begin(), files.end());
}

json::object export_rows(const Export& own, const std::string& path, const std::string& out) {
  StoreReader store(path);
  const StoreExportFormat format = store_export_format_from_name(own.to());
  const Share rows = rows_from_text(own.rows(), store.rows());
  const StoreExport result = export_store(store, rows, format, out);
  return {{"kind", "activation_store"},
          {"to", own.to()},
          {"files", names(result.files)},
          {"first_row", rows.first},
          {"rows", rows.count},
          {"d_model", store.d_model()},
          {"maximum_difference", result.maximum_difference}};
}

sae::Provenance provenance_of(const Export& own, const sae::DictionaryFile& file) {
  sae::Provenance provenance{.model_name = own.model_name(),
                             .hook_name = own.hook_name(),
                             .dataset_path = own.dataset_path(),
                             .context_size = own.context_size(),
                             .prepend_bos = own.prepend_bos()};
  for (const auto& [key, value] : file.metadata) provenance.orthant[key] = value;
  return provenance;
}

json::object export_sae(const Export& own, const std::string& path, const std::string& out) {
  const sae::ExchangeFormat format = sae::exchange_format_from_name(own.to());
  Memory memory;
  const sae::DictionaryFile file = sae::load_dictionary(path, memory);
  const bool is_plain = format == sae::ExchangeFormat::kSafetensors;
  const bool names_file = out.ends_with(".safetensors");
  const std::string target = is_plain && !names_file ? out + "/" + sae::kDictionaryFile : out;
  if (is_plain && !names_file) make_directory(out);
  const sae::ExportResult result =
      sae::export_dictionary(file.dictionary, provenance_of(own, file), {}, format, target);
  return {{"kind", "sae"},
          {"from", file.metadata.at("format")},
          {"to", own.to()},
          {"files", names(result.files)},
          {"maximum_difference", result.check.maximum_difference},
          {"compared_rows", result.check.rows},
          {"active", result.check.active},
          {"undecided", result.check.undecided}};
}

ExitCode run_export(Invocation& invocation) {
  const Export& own = invocation.own<Export>();
  const std::string& path = given_path(invocation, own.path());
  const std::string& out = given_target(invocation);
  json::object result;
  const bool is_store = stored_kind_of(path) == StoredKind::kActivationStore;
  const bool writes = invocation.world.rank() == 0;
  agree(*invocation.world.control, "export", [&] {
    if (writes) result = is_store ? export_rows(own, path, out) : export_sae(own, path, out);
  });
  std::string text = json::serialize(result);
  invocation.world.control->broadcast(text, 0);
  return invocation.finish(json::parse(text));
}

}  // namespace

Verb export_verb() {
  return {.name = "export",
          .summary = "write a dictionary or rows of a store in the format of another program",
          .schema = Export::descriptor(),
          .positional = {"path"},
          .run = run_export};
}

}  // namespace orthant::launch
