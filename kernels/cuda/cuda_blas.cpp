#include "kernels/cuda/cuda_blas.h"

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>

#include "runtime/core/error.h"
#include "runtime/device/cuda_check.h"

namespace orthant::kernels::cuda {
namespace {

using ::orthant::cuda::check;

// What is used of cuBLASLt.
struct Library {
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtDestroy) destroy;
  decltype(&cublasLtGetStatusString) status_text;
  decltype(&cublasLtMatmul) matmul;
  decltype(&cublasLtMatmulAlgoCheck) check_algorithm;
  decltype(&cublasLtMatmulAlgoGetHeuristic) choose_algorithm;
  decltype(&cublasLtMatmulDescCreate) create_operation;
  decltype(&cublasLtMatmulDescDestroy) destroy_operation;
  decltype(&cublasLtMatmulDescSetAttribute) set_operation;
  decltype(&cublasLtMatrixLayoutCreate) create_layout;
  decltype(&cublasLtMatrixLayoutDestroy) destroy_layout;
  decltype(&cublasLtMatmulPreferenceCreate) create_preference;
  decltype(&cublasLtMatmulPreferenceDestroy) destroy_preference;
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference;
};

[[noreturn]] void throw_not_loaded(const std::string& name) {
  const char* reason = dlerror();
  throw Error(ExitCode::kDevice,
              {.problem = fmt::format("cannot load {}", name),
               .why = reason == nullptr ? "the system does not say why" : reason,
               .suggestion = fmt::format("Install cuBLAS of CUDA {}, name the folder that holds it in "
                                         "LD_LIBRARY_PATH, or use --precision=f32.",
                                         CUBLAS_VER_MAJOR)});
}

void* open_library(const std::string& name) {
  // Where the toolkit is, whether or not the loader was told of it.
  for (const std::string& folder : {std::string(), std::string("/usr/local/cuda/lib64/")}) {
    if (void* const opened = dlopen((folder + name).c_str(), RTLD_NOW | RTLD_LOCAL)) return opened;
  }
  throw_not_loaded(name);
}

Library load_library() {
  const std::string name = fmt::format("libcublasLt.so.{}", CUBLAS_VER_MAJOR);
  void* const opened = open_library(name);
  Library library{};
  const auto find = [&]<typename Function>(const char* symbol, Function& into) {
    into = reinterpret_cast<Function>(dlsym(opened, symbol));
    if (into == nullptr) throw_not_loaded(name);
  };
  find("cublasLtCreate", library.create);
  find("cublasLtDestroy", library.destroy);
  find("cublasLtGetStatusString", library.status_text);
  find("cublasLtMatmul", library.matmul);
  find("cublasLtMatmulAlgoCheck", library.check_algorithm);
  find("cublasLtMatmulAlgoGetHeuristic", library.choose_algorithm);
  find("cublasLtMatmulDescCreate", library.create_operation);
  find("cublasLtMatmulDescDestroy", library.destroy_operation);
  find("cublasLtMatmulDescSetAttribute", library.set_operation);
  find("cublasLtMatrixLayoutCreate", library.create_layout);
  find("cublasLtMatrixLayoutDestroy", library.destroy_layout);
  find("cublasLtMatmulPreferenceCreate", library.create_preference);
  find("cublasLtMatmulPreferenceDestroy", library.destroy_preference);
  find("cublasLtMatmulPreferenceSetAttribute", library.set_preference);
  return library;
}

const Library& library() {
  static const Library loaded = load_library();
  return loaded;
}

void check_blas(cublasStatus_t status, std::string_view doing) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(ExitCode::kDevice, {.problem = fmt::format("cuBLASLt failed {}", doing),
                                  .why = library().status_text(status),
                                  .suggestion = "See `nvidia-smi`, or use --device=cpu."});
}

template <typename Handle>
using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, cublasStatus_t (*)(Handle)>;

cudaDataType_t element_of(Precision precision) {
  return precision == Precision::kBF16 ? CUDA_R_16BF : CUDA_R_32F;
}

// cuBLASLt has columns where we have rows: out^T [columns, rows] = w^T x.
struct Problem {
  Owned<cublasLtMatmulDesc_t> operation;
  Owned<cublasLtMatrixLayout_t> w, x, out;
};

Owned<cublasLtMatmulDesc_t> operation_of(Precision precision) {
  const cublasComputeType_t compute =
      precision == Precision::kTF32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  cublasLtMatmulDesc_t operation = nullptr;
  check_blas(library().create_operation(&operation, compute, CUDA_R_32F), "describing a product");
  Owned<cublasLtMatmulDesc_t> owned(operation, library().destroy_operation);
  const cublasOperation_t transposed = CUBLAS_OP_T;
  check_blas(library().set_operation(operation, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed),
             "describing a product");
  return owned;
}

Owned<cublasLtMatrixLayout_t> layout_of(cudaDataType_t element, int64_t height, int64_t width,
                                        int64_t stride) {
  cublasLtMatrixLayout_t layout = nullptr;
  check_blas(library().create_layout(&layout, element, static_cast<uint64_t>(height),
                                     static_cast<uint64_t>(width), stride),
             "describing a matrix");
  return {layout, library().destroy_layout};
}

Problem problem_of(Precision precision, int64_t depth, int64_t rows, int64_t columns, int64_t out_stride) {
  return {.operation = operation_of(precision),
          .w = layout_of(element_of(precision), depth, columns, depth),
          .x = layout_of(element_of(precision), depth, rows, depth),
          .out = layout_of(CUDA_R_32F, columns, rows, out_stride)};
}

// Of addresses and rows, in bytes.
struct Alignment {
  uint32_t operands;
  uint32_t out;
};

constexpr uint32_t kAligned = 16;  // what vector loads need
constexpr Alignment kBest{kAligned, kAligned};

Alignment least_alignment(Precision precision) {
  return {static_cast<uint32_t>(operand_bytes(precision)), sizeof(float)};
}

// Without room for partial sums nothing splits the depth. Nothing where no algorithm fits.
std::optional<cublasLtMatmulAlgo_t> algorithm_of(cublasLtHandle_t handle, const Problem& problem,
                                                 Alignment alignment) {
  cublasLtMatmulPreference_t preference = nullptr;
  check_blas(library().create_preference(&preference), "choosing an algorithm");
  const Owned<cublasLtMatmulPreference_t> owned(preference, library().destroy_preference);
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
    check_blas(library().set_preference(preference, attribute, &value, sizeof value),
               "choosing an algorithm");
  };
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t{0});
  set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_NONE));
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment.operands);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment.operands);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment.out);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment.out);
  cublasLtMatmulHeuristicResult_t result{};
  int found = 0;
  const cublasStatus_t status =
      library().choose_algorithm(handle, problem.operation.get(), problem.w.get(), problem.x.get(),
                                 problem.out.get(), problem.out.get(), preference, 1, &result, &found);
  if (status != CUBLAS_STATUS_SUCCESS || found == 0 || result.state != CUBLAS_STATUS_SUCCESS) return {};
  return result.algo;
}

bool fits(cublasLtHandle_t handle, const Problem& problem, const cublasLtMatmulAlgo_t& algorithm) {
  cublasLtMatmulHeuristicResult_t result{};
  const cublasStatus_t status =
      library().check_algorithm(handle, problem.operation.get(), problem.w.get(), problem.x.get(),
                                problem.out.get(), problem.out.get(), &algorithm, &result);
  return status == CUBLAS_STATUS_SUCCESS && result.workspaceSize == 0;
}

template <typename... Pointers>
bool are_aligned(int64_t row_bytes, int64_t out_bytes, Pointers... addresses) {
  return row_bytes % kAligned == 0 && out_bytes % kAligned == 0 &&
         ((reinterpret_cast<uintptr_t>(addresses) % kAligned == 0) && ...);
}

void zero_rows(float* out, int64_t out_stride, int64_t rows, int64_t columns, Stream& stream) {
  check(cudaMemset2DAsync(out, static_cast<size_t>(out_stride) * sizeof(float), 0,
                          static_cast<size_t>(columns) * sizeof(float), static_cast<size_t>(rows),
                          static_cast<cudaStream_t>(stream.native())),
        "setting a product to zero");
}

struct Plan {
  Problem problem;
  cublasLtMatmulAlgo_t algorithm;
};

// Shapes of a training are few; those of texts are many.
constexpr size_t kMostPlans = 64;

}  // namespace

class BlasPlans {
 public:
  BlasPlans(int64_t depth, Precision precision) : depth_(depth), precision_(precision) {
    // Large in both directions: what encodes and models ask for most.
    constexpr int64_t kRows = 1024, kColumns = 8192;
    check_blas(library().create(&handle_), "making a handle");
    if (depth == 0 || depth * operand_bytes(precision) % kAligned != 0) return;
    chosen_ = algorithm_of(handle_, problem_of(precision, depth, kRows, kColumns, kColumns), kBest);
  }
  ~BlasPlans() { library().destroy(handle_); }
  BlasPlans(const BlasPlans&) = delete;
  BlasPlans& operator=(const BlasPlans&) = delete;

  [[nodiscard]] cublasLtHandle_t handle() const { return handle_; }
  [[nodiscard]] std::shared_ptr<const Plan> of(int64_t rows, int64_t columns, int64_t out_stride,
                                               bool aligned) {
    const std::lock_guard lock(mutex_);
    const auto found = plans_.find({rows, columns, out_stride, aligned});
    if (found != plans_.end()) return found->second;
    if (plans_.size() >= kMostPlans) plans_.clear();
    return plans_[{rows, columns, out_stride, aligned}] = make(rows, columns, out_stride, aligned);
  }

 private:
  [[nodiscard]] std::shared_ptr<const Plan> make(int64_t rows, int64_t columns, int64_t out_stride,
                                                 bool aligned) const {
    Problem problem = problem_of(precision_, depth_, rows, columns, out_stride);
    if (chosen_ && aligned && fits(handle_, problem, *chosen_)) {
      return std::make_shared<const Plan>(Plan{std::move(problem), *chosen_});
    }
    const auto own = algorithm_of(handle_, problem, aligned ? kBest : least_alignment(precision_));
    if (!own) check_blas(CUBLAS_STATUS_NOT_SUPPORTED, "choosing an algorithm");
    return std::make_shared<const Plan>(Plan{std::move(problem), *own});
  }

  int64_t depth_;
  Precision precision_;
  cublasLtHandle_t handle_ = nullptr;
  std::optional<cublasLtMatmulAlgo_t> chosen_;  // of the nominal shape
  std::mutex mutex_;
  std::map<std::tuple<int64_t, int64_t, int64_t, bool>, std::shared_ptr<const Plan>> plans_;
};

bool has_blas() {
  try {
    (void)library();
    return true;
  } catch (const Error&) {
    return false;
  }
}

BlasProduct::BlasProduct(Device device, int64_t depth, Precision precision)
    : depth_(depth), precision_(precision) {
  check(cudaSetDevice(device.index), "choosing a device");
  plans_ = std::make_shared<BlasPlans>(depth, precision);
}

void BlasProduct::run(Operand x, Operand w, float* out, int64_t out_stride, Stream& stream) const {
  if (x.rows == 0 || w.rows == 0) return;
  check(cudaSetDevice(stream.device().index), "choosing a device");
  if (depth_ == 0) return zero_rows(out, out_stride, x.rows, w.rows, stream);
  const bool aligned = are_aligned(depth_ * operand_bytes(precision_), out_stride * 4, x.data, w.data, out);
  const std::shared_ptr<const Plan> plan = plans_->of(x.rows, w.rows, out_stride, aligned);
  const Problem& problem = plan->problem;
  const float one = 1.0f, zero = 0.0f;
  check_blas(library().matmul(plans_->handle(), problem.operation.get(), &one, w.data, problem.w.get(),
                              x.data, problem.x.get(), &zero, out, problem.out.get(), out, problem.out.get(),
                              &plan->algorithm, nullptr, 0, static_cast<cudaStream_t>(stream.native())),
             "starting a product");
}

}  // namespace orthant::kernels::cuda
