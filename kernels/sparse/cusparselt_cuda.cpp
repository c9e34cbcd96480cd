#include <cuda_runtime_api.h>
#include <cusparseLt.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <string>

#include "kernels/sparse/two_of_four.h"
#include "runtime/core/error.h"
#include "runtime/device/cuda_check.h"

namespace orthant::kernels::cuda {
namespace {

using ::orthant::cuda::check;

// What is used of cuSPARSELt.
struct Library {
  decltype(&cusparseLtInit) init;
  decltype(&cusparseLtDestroy) destroy;
  decltype(&cusparseLtGetErrorString) status_text;
  decltype(&cusparseLtDenseDescriptorInit) describe_dense;
  decltype(&cusparseLtStructuredDescriptorInit) describe_sparse;
  decltype(&cusparseLtMatDescriptorDestroy) destroy_description;
  decltype(&cusparseLtMatmulDescriptorInit) describe_product;
  decltype(&cusparseLtMatmulAlgSelectionInit) choose_algorithm;
  decltype(&cusparseLtMatmulPlanInit) init_plan;
  decltype(&cusparseLtMatmulPlanDestroy) destroy_plan;
  decltype(&cusparseLtMatmulGetWorkspace) workspace_bytes;
  decltype(&cusparseLtSpMMACompressedSize) compressed_bytes;
  decltype(&cusparseLtSpMMACompress) compress;
  decltype(&cusparseLtMatmul) multiply;
};

constexpr const char* kLibrary = "libcusparseLt.so.0";

[[noreturn]] void throw_not_loaded() {
  const char* reason = dlerror();
  throw Error(ExitCode::kDevice,
              {.problem = fmt::format("cannot load {}", kLibrary),
               .why = reason == nullptr ? "the system does not say why" : reason,
               .suggestion = "Install cuSPARSELt or name the folder that holds it in LD_LIBRARY_PATH."});
}

Library load_library() {
  void* const opened = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (opened == nullptr) throw_not_loaded();
  Library library{};
  const auto find = [&]<typename Function>(const char* symbol, Function& into) {
    into = reinterpret_cast<Function>(dlsym(opened, symbol));
    if (into == nullptr) throw_not_loaded();
  };
  find("cusparseLtInit", library.init);
  find("cusparseLtDestroy", library.destroy);
  find("cusparseLtGetErrorString", library.status_text);
  find("cusparseLtDenseDescriptorInit", library.describe_dense);
  find("cusparseLtStructuredDescriptorInit", library.describe_sparse);
  find("cusparseLtMatDescriptorDestroy", library.destroy_description);
  find("cusparseLtMatmulDescriptorInit", library.describe_product);
  find("cusparseLtMatmulAlgSelectionInit", library.choose_algorithm);
  find("cusparseLtMatmulPlanInit", library.init_plan);
  find("cusparseLtMatmulPlanDestroy", library.destroy_plan);
  find("cusparseLtMatmulGetWorkspace", library.workspace_bytes);
  find("cusparseLtSpMMACompressedSize", library.compressed_bytes);
  find("cusparseLtSpMMACompress", library.compress);
  find("cusparseLtMatmul", library.multiply);
  return library;
}

const Library& library() {
  static const Library loaded = load_library();
  return loaded;
}

void check_sparse(cusparseStatus_t status, std::string_view doing) {
  if (status == CUSPARSE_STATUS_SUCCESS) return;
  throw Error(ExitCode::kDevice, {.problem = fmt::format("cuSPARSELt failed {}", doing),
                                  .why = library().status_text(status),
                                  .suggestion = "It needs a device of compute capability 8.0 or later."});
}

class Handle {
 public:
  Handle() { check_sparse(library().init(&handle_), "making a handle"); }
  ~Handle() { library().destroy(&handle_); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  [[nodiscard]] const cusparseLtHandle_t* get() const { return &handle_; }

 private:
  cusparseLtHandle_t handle_{};
};

// A matrix [rows, columns], row-major.
class Description {
 public:
  Description(const Handle& handle, int64_t rows, int64_t columns, bool is_sparse) {
    constexpr uint32_t kAlignment = 16;
    const cusparseStatus_t status =
        is_sparse ? library().describe_sparse(handle.get(), &matrix_, rows, columns, columns, kAlignment,
                                              CUDA_R_16BF, CUSPARSE_ORDER_ROW, CUSPARSELT_SPARSITY_50_PERCENT)
                  : library().describe_dense(handle.get(), &matrix_, rows, columns, columns, kAlignment,
                                             CUDA_R_16BF, CUSPARSE_ORDER_ROW);
    check_sparse(status, "describing a matrix");
  }
  ~Description() { library().destroy_description(&matrix_); }
  Description(const Description&) = delete;
  Description& operator=(const Description&) = delete;
  [[nodiscard]] const cusparseLtMatDescriptor_t* get() const { return &matrix_; }

 private:
  cusparseLtMatDescriptor_t matrix_{};
};

}  // namespace

class TwoOfFourPlan {
 public:
  TwoOfFourPlan(int64_t rows, int64_t columns, int64_t depth)
      : x_(handle_, rows, depth, true),
        w_(handle_, columns, depth, false),
        out_(handle_, rows, columns, false) {
    check_sparse(library().describe_product(handle_.get(), &product_, CUSPARSE_OPERATION_NON_TRANSPOSE,
                                            CUSPARSE_OPERATION_TRANSPOSE, x_.get(), w_.get(), out_.get(),
                                            out_.get(), CUSPARSE_COMPUTE_32F),
                 "describing a product");
    check_sparse(
        library().choose_algorithm(handle_.get(), &algorithm_, &product_, CUSPARSELT_MATMUL_ALG_DEFAULT),
        "choosing an algorithm");
    check_sparse(library().init_plan(handle_.get(), &plan_, &product_, &algorithm_), "planning a product");
  }
  ~TwoOfFourPlan() { library().destroy_plan(&plan_); }
  TwoOfFourPlan(const TwoOfFourPlan&) = delete;
  TwoOfFourPlan& operator=(const TwoOfFourPlan&) = delete;

  [[nodiscard]] int64_t workspace_bytes() const {
    size_t bytes = 0;
    check_sparse(library().workspace_bytes(handle_.get(), &plan_, &bytes), "asking for its workspace");
    return static_cast<int64_t>(bytes);
  }
  struct CompressedBytes {
    size_t rows = 0, scratch = 0;
  };
  [[nodiscard]] CompressedBytes compressed_bytes() const {
    CompressedBytes bytes;
    check_sparse(library().compressed_bytes(handle_.get(), &plan_, &bytes.rows, &bytes.scratch),
                 "asking for its compressed size");
    return bytes;
  }
  void compress(const uint16_t* x, std::byte* into, std::byte* scratch, Stream& stream) const {
    check_sparse(library().compress(handle_.get(), &plan_, x, into, scratch,
                                    static_cast<cudaStream_t>(stream.native())),
                 "compressing rows");
  }
  void multiply(const std::byte* x, const uint16_t* w, uint16_t* out, std::byte* workspace,
                Stream& stream) const {
    const float one = 1.0f, zero = 0.0f;
    auto native = static_cast<cudaStream_t>(stream.native());
    check_sparse(
        library().multiply(handle_.get(), &plan_, &one, x, w, &zero, out, out, workspace, &native, 1),
        "starting a product");
  }

 private:
  Handle handle_;
  Description x_, w_, out_;
  cusparseLtMatmulDescriptor_t product_{};
  cusparseLtMatmulAlgSelection_t algorithm_{};
  cusparseLtMatmulPlan_t plan_{};
};

bool has_two_of_four() {
  try {
    (void)library();
    return true;
  } catch (const Error&) {
    return false;
  }
}

TwoOfFourProduct::TwoOfFourProduct(Memory& memory, int64_t rows, int64_t columns, int64_t depth)
    : shape_{rows, columns, depth} {
  for (const int64_t extent : shape_)
    require(extent > 0 && extent % kMultiple == 0, "a 2:4 product has whole tiles");
  check(cudaSetDevice(memory.device().index), "choosing a device");
  plan_ = std::make_shared<TwoOfFourPlan>(rows, columns, depth);
  const TwoOfFourPlan::CompressedBytes bytes = plan_->compressed_bytes();
  compressed_ = {memory, "2:4 rows", {static_cast<int64_t>(bytes.rows)}};
  compress_scratch_ = {memory, "2:4 rows", {static_cast<int64_t>(bytes.scratch)}};
  workspace_ = {memory, "2:4 rows", {plan_->workspace_bytes()}};
}

void TwoOfFourProduct::compress(Matrix<const uint16_t> x, Stream& stream) {
  require(x.shape[0] == shape_[0] && x.shape[1] == shape_[2], "the rows have the shape of the product");
  check(cudaSetDevice(stream.device().index), "choosing a device");
  plan_->compress(x.data, compressed_.data(), compress_scratch_.data(), stream);
}

void TwoOfFourProduct::multiply(Matrix<const uint16_t> w, Matrix<uint16_t> out, Stream& stream) {
  require(w.shape[0] == shape_[1] && w.shape[1] == shape_[2], "the weights have the shape of the product");
  require(out.shape[0] == shape_[0] && out.shape[1] == shape_[1], "out is [rows, columns]");
  check(cudaSetDevice(stream.device().index), "choosing a device");
  plan_->multiply(compressed_.data(), w.data, out.data, workspace_.data(), stream);
}

}  // namespace orthant::kernels::cuda
