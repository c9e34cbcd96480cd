#include "runtime/storage/activation_store.h"

namespace orthant {

std::string finish_store(StoreWriter& writer, const std::string& path, const StoreDescription& description,
                         ControlGroup& control) {
  agree(control, "publish the last shards", [&] { writer.publish(); });
  std::string content_hash;
  agree(control, "seal the store", [&] {
    if (control.rank() == 0) content_hash = seal_store(path, description);
  });
  control.broadcast(content_hash, 0);
  return content_hash;
}

}  // namespace orthant
