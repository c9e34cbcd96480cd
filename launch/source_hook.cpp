#include "launch/source_hook.h"

#include "runtime/storage/activation_store.h"

namespace orthant::launch {

std::string hook_of(const Source& source) {
  if (source.has_model()) return source.hook();
  if (!source.has_store()) return "";
  const boost::json::object provenance = StoreReader(source.store()).provenance();
  const boost::json::value* const hook = provenance.if_contains("hook");
  return hook != nullptr && hook->is_string() ? std::string(hook->get_string()) : "";
}

}  // namespace orthant::launch
