#include "runtime/job/shared_source.h"

#include <algorithm>

namespace orthant {

SharedSource::SharedSource(ActivationSource& source, int64_t room_rows, Memory& memory)
    : source_(source), room_(memory, "shared rows", {room_rows, source.d_model()}) {}

const SharedSource::Kept* SharedSource::find(Split split, int64_t first, int64_t count) const {
  const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const Kept& kept) {
    return kept.split == split && kept.first <= first && first + count <= kept.first + kept.count;
  });
  return found == kept_.end() ? nullptr : &*found;
}

int64_t SharedSource::make_room(int64_t count) {
  const int64_t place = end_ + count <= room_.shape()[0] ? end_ : 0;
  end_ = place + count;
  std::erase_if(kept_,
                [&](const Kept& kept) { return kept.place < end_ && place < kept.place + kept.count; });
  return place;
}

void SharedSource::read(Split split, int64_t first, Matrix<float> into, RowLabels* labels) {
  const int64_t count = into.shape[0];
  rows_given_ += count;
  if (labels != nullptr || count > room_.shape()[0]) {
    rows_read_ += count;
    return source_.read(split, first, into, labels);
  }
  if (const Kept* kept = find(split, first, count)) {
    const Matrix<float> rows = room_.view().rows(kept->place + first - kept->first, count);
    std::copy(rows.data, rows.data + rows.elements(), into.data);
    return;
  }
  rows_read_ += count;
  source_.read(split, first, into, nullptr);
  const int64_t place = make_room(count);
  std::copy(into.data, into.data + into.elements(), room_.view().rows(place, count).data);
  kept_.push_back({split, first, count, place});
}

}  // namespace orthant
