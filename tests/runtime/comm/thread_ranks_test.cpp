#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

#include "runtime/comm/world.h"
#include "runtime/core/error.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using std::chrono::milliseconds;

TEST(ThreadRanks, RethrowsTheFirstCauseOfTheLowestRank) {
  try {
    run_thread_ranks(4, [](World world) {
      if (world.rank() >= 2)
        throw Error(ExitCode::kData, "rank " + std::to_string(world.rank()) + " is broken");
      world.control->barrier();
    });
    FAIL() << "an exception is rethrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData);
    EXPECT_NE(std::string(error.what()).find("is broken"), std::string::npos);
  }
}

TEST(ThreadRanks, FailureEndsWaitsInGroupsOfASplit) {
  Stream stream;
  EXPECT_THROW(run_thread_ranks(3,
                                [&](World world) {
                                  const auto pair = world.data->split(world.rank() == 0 ? 0 : 1, 0);
                                  if (world.rank() == 1) throw std::runtime_error("lost");
                                  int32_t value = 1;
                                  for (int i = 0; i < 3; ++i) {
                                    pair->all_reduce(&value, 1, Dtype::kI32, ReduceOp::kSum, stream);
                                  }
                                }),
               std::runtime_error);
}

TEST(ThreadRanks, DeadlineNamesTheOperationAndTheMissingRank) {
  const testing::TempDir folder;
  const auto start = std::chrono::steady_clock::now();
  try {
    run_thread_ranks(3,
                     [&](World world) {
                       world.control->set_flight_folder(folder.path().string());
                       world.control->barrier();
                       world.control->end_startup();
                       if (world.rank() == 1) return;
                       Stream stream;
                       std::vector<float> data(77);
                       world.data->all_reduce(data.data(), 77, Dtype::kF32, ReduceOp::kSum, stream);
                     },
                     {.startup = milliseconds(60000), .collective = milliseconds(300)});
    FAIL() << "the deadline throws";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kPeer);
    const std::string message = error.what();
    EXPECT_NE(message.find("all_reduce of 77 f32"), std::string::npos) << message;
    EXPECT_NE(message.find("rank 1 did not come"), std::string::npos) << message;
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(5300));
  std::string records;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    std::ostringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    records += text.str();
  }
  EXPECT_NE(records.find("\"operation\": \"all_reduce\""), std::string::npos) << records;
  EXPECT_NE(records.find("\"elements\": 77"), std::string::npos) << records;
}

TEST(ThreadRanks, DeadlineScopeHoldsForItsSection) {
  EXPECT_NO_THROW(run_thread_ranks(2,
                                   [](World world) {
                                     {
                                       const DeadlineScope slow(*world.control, milliseconds(60000));
                                       if (world.rank() == 1) std::this_thread::sleep_for(milliseconds(400));
                                       world.control->barrier();
                                     }
                                     EXPECT_EQ(world.control->set_deadline(milliseconds(1)),
                                               milliseconds(200));
                                   },
                                   {.startup = milliseconds(200), .collective = milliseconds(200)}));
}

TEST(ThreadRanks, DivergingCallsThrowOnEveryRank) {
  Stream stream;
  int thrown[2] = {0, 0};
  run_thread_ranks(2, [&](World world) {
    std::vector<float> data(8);
    try {
      world.data->all_reduce(data.data(), 7 + world.rank(), Dtype::kF32, ReduceOp::kSum, stream);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kInternal);
      EXPECT_NE(std::string(error.what()).find("rank 1 calls all_reduce of 8"), std::string::npos)
          << error.what();
      thrown[world.rank()] = 1;
    }
  });
  EXPECT_EQ(thrown[0] + thrown[1], 2);
}

TEST(ThreadRanks, AbortEndsTheWaitsOfThePeers) {
  Stream stream;
  EXPECT_THROW(run_thread_ranks(2,
                                [&](World world) {
                                  if (world.rank() == 0) return world.data->abort();
                                  double value = 0;
                                  world.data->broadcast(&value, 1, Dtype::kF64, 0, stream);
                                }),
               Error);
}

TEST(MeshShape, DerivesWhatIsLeftOut) {
  EXPECT_EQ(resolve_mesh({}, 6).dictionary, 6);
  EXPECT_EQ(resolve_mesh({.data = 2}, 6).dictionary, 3);
  EXPECT_EQ(resolve_mesh({.dictionary = 2}, 6).data, 3);
  EXPECT_EQ(resolve_mesh({.data = 3, .dictionary = 2}, 6).data, 3);
}

TEST(MeshShape, RejectsWhatDoesNotCoverTheWorld) {
  for (const MeshShape shape : {MeshShape{4, 0}, MeshShape{0, 4}, MeshShape{2, 2}, MeshShape{-1, 0}}) {
    try {
      (void)resolve_mesh(shape, 6);
      ADD_FAILURE() << shape.data << " x " << shape.dictionary;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kConfig);
    }
  }
}

}  // namespace
}  // namespace orthant
