// A step allocates nothing after the first: neither tensors nor anything by operator new, on any rank.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "runtime/comm/world.h"
#include "tests/support/small_training.h"

namespace {

std::atomic<bool> counting = false;
std::atomic<int64_t> allocations = 0;

void* allocated(std::size_t bytes, std::size_t alignment) {
  if (counting) ++allocations;
  const std::size_t whole = (std::max<std::size_t>(bytes, 1) + alignment - 1) / alignment * alignment;
  void* const memory = std::aligned_alloc(alignment, whole);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

// Of the whole binary; they count only while a test asks for it.
void* operator new(std::size_t bytes) {
  return allocated(bytes, alignof(std::max_align_t));
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocated(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

namespace orthant::sae {
namespace {

struct Case {
  std::string preset;
  testing::TrainingMesh mesh;
  int virtual_shards = 0;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.preset << " " << c.mesh.shape.data << "x" << c.mesh.shape.dictionary << " " << name_of(c.mesh.way)
       << (c.virtual_shards > 0 ? " deterministic" : "");
}

int64_t bytes_held(const Memory& memory) {
  int64_t bytes = 0;
  for (const SegmentUse& use : memory.segments()) bytes += use.allocated_bytes;
  return bytes;
}

class Allocation : public ::testing::TestWithParam<Case> {};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const std::string preset : {"ortsae", "topk", "dl_batchtopk", "dl_topk", "standard"}) {
    const bool dense = preset == "standard";
    all.push_back({preset, {{1, 1}}});
    all.push_back({preset, {{1, 3}}});
    all.push_back({preset, {{1, 2}}, 12});
    if (!dense) all.push_back({preset, {{2, 2}, DataParallel::kCodes}});
    if (!dense) all.push_back({preset, {{2, 2}, DataParallel::kCodes}, 12});
    all.push_back({preset, {{2, 2}, DataParallel::kGradients}});
  }
  return all;
}
INSTANTIATE_TEST_SUITE_P(All, Allocation, ::testing::ValuesIn(cases()),
                         [](const ::testing::TestParamInfo<Case>& named) {
                           std::string name = ::testing::PrintToString(named.param);
                           std::replace(name.begin(), name.end(), ' ', '_');
                           return name;
                         });

TEST_P(Allocation, EndsWithTheFirstStep) {
  const Case& c = GetParam();
  constexpr int64_t kSteps = 8;
  run_thread_ranks(c.mesh.shape.data * c.mesh.shape.dictionary, [&](World world) {
    Grid grid = make_grid(*world.data, c.mesh.shape);
    Memory memory;
    SyntheticSource source(testing::small_synthetic(), testing::kSmallSourceSeed, memory);
    Trainer trainer(testing::small_training(c.preset, c.mesh, c.virtual_shards, kSteps), testing::kSmallWidth,
                    world, grid, memory);
    trainer.initialize(source);
    trainer.step(source);
    const int64_t held = bytes_held(memory);

    world.control->barrier();
    if (world.rank() == 0) {
      allocations = 0;
      counting = true;
    }
    world.control->barrier();
    int64_t dead = 0;
    while (trainer.steps_done() < kSteps) dead += trainer.step(source, true).dead_latents;
    world.control->barrier();
    if (world.rank() == 0) counting = false;
    world.control->barrier();

    EXPECT_EQ(bytes_held(memory), held);
    if (world.rank() != 0) return;
    EXPECT_EQ(allocations, 0);
    EXPECT_TRUE(dead > 0 || c.preset == "standard") << "the auxiliary loss took no part";
  });
}

}  // namespace
}  // namespace orthant::sae
