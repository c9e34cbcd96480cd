#include "models/tasks/pair_forwards.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "runtime/core/error.h"

namespace orthant::models {
namespace {

using Ids = std::span<const int32_t>;

// Shorter common beginnings save less than another sequence costs.
constexpr int64_t kLeastShared = 8;
// Keys and values that a forward keeps for its families, by its rows.
constexpr int64_t kMostKept = 8;

// A distinct model input and its pairs.
struct Input {
  std::vector<int32_t> whole;  // context and longest continuation, with the id that the model does not read
  int64_t cut;                 // ids on the left that it does not read either
  std::vector<size_t> pairs;
  [[nodiscard]] Ids ids() const {
    return Ids(whole).first(whole.size() - 1).subspan(static_cast<size_t>(cut));
  }
  [[nodiscard]] int64_t length() const { return static_cast<int64_t>(whole.size()) - 1 - cut; }
};

// What a number of inputs costs that begin with the same ids.
struct Cost {
  int64_t inputs = 0;
  int64_t ids = 0;     // of all of them
  int64_t shared = 0;  // that each begins with
  [[nodiscard]] int64_t rows() const { return ids - (inputs - 1) * shared; }
  // Positions of RunLimits::kept.
  [[nodiscard]] int64_t kept() const { return shared + ids; }
};

// Inputs that begin with the same ids, one after the other in a forward.
struct Family {
  std::vector<const Input*> inputs;
  Cost cost;
};

void check_length(const TokenPair& pair, int64_t context_length) {
  const auto length = static_cast<int64_t>(pair.continuation.size());
  if (length <= context_length) return;
  throw Error(ExitCode::kData, {.problem = fmt::format("a continuation of {} tokens", length),
                                .why = fmt::format("the model's context is {} tokens", context_length),
                                .suggestion = "shorten it"});
}

// The first of the pairs with the most tokens to score.
size_t longest_of(std::span<const TokenPair> pairs, std::span<const size_t> among) {
  return *std::max_element(among.begin(), among.end(), [&](size_t a, size_t b) {
    return pairs[a].continuation.size() < pairs[b].continuation.size();
  });
}

std::vector<Input> distinct_inputs(std::span<const TokenPair> pairs, int64_t context_length) {
  std::map<std::vector<int32_t>, std::vector<size_t>> numbers;
  for (size_t i = 0; i < pairs.size(); ++i) {
    require(!pairs[i].context.empty() && !pairs[i].continuation.empty(), "both texts of a pair have tokens");
    check_length(pairs[i], context_length);
    std::vector<int32_t> read = pairs[i].context;
    read.insert(read.end(), pairs[i].continuation.begin(), pairs[i].continuation.end() - 1);
    numbers[std::move(read)].push_back(i);
  }
  std::vector<Input> inputs;
  for (auto& [read, of_input] : numbers) {
    std::vector<int32_t> whole = read;
    whole.push_back(pairs[longest_of(pairs, of_input)].continuation.back());
    const int64_t cut = std::max<int64_t>(0, static_cast<int64_t>(read.size()) - context_length);
    inputs.push_back({std::move(whole), cut, std::move(of_input)});
  }
  return inputs;
}

// The order of lm-eval-harness: the longest first, ties by ids.
bool comes_before(const Input& a, const Input& b) {
  if (a.whole.size() != b.whole.size()) return a.whole.size() > b.whole.size();
  return a.whole < b.whole;
}

int64_t common_beginning(Ids a, Ids b) {
  return std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin();
}

bool has_room_for(const Cost& family, const PairLayout& layout) {
  return family.rows() <= layout.forward_tokens && family.kept() <= kMostKept * layout.forward_tokens;
}

// The families of neighbours among `inputs`, sorted by ids, that need the fewest rows; a forward has room for
// each but for an input alone. By dynamic programming: the best families of the first inputs are the best of
// fewer inputs and one family more.
std::vector<Family> fewest_rows(std::span<const Input* const> inputs, const PairLayout& layout) {
  const size_t count = inputs.size();
  std::vector<int64_t> rows(count + 1, 0);  // of the best families of the first inputs
  std::vector<Cost> last(count + 1);        // of these
  for (size_t end = 1; end <= count; ++end) {
    int64_t shared = inputs[end - 1]->length();
    Cost family{1, shared, 0};
    rows[end] = rows[end - 1] + family.rows();
    last[end] = family;
    for (size_t first = end - 1; first > 0; --first) {
      shared = std::min(shared, common_beginning(inputs[first - 1]->ids(), inputs[first]->ids()));
      family = {family.inputs + 1, family.ids + inputs[first - 1]->length(), shared};
      if (shared < kLeastShared || !has_room_for(family, layout)) break;
      if (rows[first - 1] + family.rows() >= rows[end]) continue;
      rows[end] = rows[first - 1] + family.rows();
      last[end] = family;
    }
  }
  std::vector<Family> families;
  for (size_t end = count; end > 0;) {
    const auto size = static_cast<size_t>(last[end].inputs);
    const auto own = inputs.subspan(end - size, size);
    families.push_back({{own.begin(), own.end()}, last[end]});
    end -= size;
  }
  return families;
}

std::vector<Family> families_of(std::span<const Input* const> inputs, const PairLayout& layout) {
  std::vector<Family> families;
  if (layout.shares_contexts) {
    std::vector<const Input*> by_ids(inputs.begin(), inputs.end());
    std::ranges::sort(by_ids, [](const Input* a, const Input* b) {
      return std::ranges::lexicographical_compare(a->ids(), b->ids());
    });
    families = fewest_rows(by_ids, layout);
  } else {
    for (const Input* input : inputs) families.push_back({{input}, {1, input->length(), 0}});
  }
  for (Family& family : families) {
    std::ranges::sort(family.inputs, [](const Input* a, const Input* b) { return comes_before(*a, *b); });
  }
  std::ranges::sort(families, [](const Family& a, const Family& b) {
    return comes_before(*a.inputs.front(), *b.inputs.front());
  });
  return families;
}

// Families in order, as many together as a forward has room for.
std::vector<std::vector<Family>> filled_forwards(std::vector<Family> families, const PairLayout& layout) {
  std::vector<std::vector<Family>> forwards;
  int64_t rows = 0, kept = 0;  // of the last forward
  for (Family& family : families) {
    // Padded inputs are as long as the first of their forward.
    const int64_t own = family.cost.rows();
    const int64_t more = layout.pads && rows > 0 ? forwards.back().front().cost.rows() : own;
    const bool has_room = rows > 0 && rows + more <= layout.forward_tokens &&
                          kept + family.cost.kept() <= kMostKept * layout.forward_tokens;
    if (!has_room) forwards.emplace_back();
    rows = has_room ? rows + more : own;
    kept = (has_room ? kept : 0) + family.cost.kept();
    forwards.back().push_back(std::move(family));
  }
  return forwards;
}

std::vector<std::vector<Family>> forwards_of(std::span<const Input> inputs, const PairLayout& layout) {
  std::vector<const Input*> ordered;
  for (const Input& input : inputs) ordered.push_back(&input);
  if (layout.batch == 0) return filled_forwards(families_of(ordered, layout), layout);
  std::ranges::sort(ordered, [](const Input* a, const Input* b) { return comes_before(*a, *b); });
  std::vector<std::vector<Family>> forwards;
  const auto batch = static_cast<size_t>(layout.batch);
  for (size_t first = 0; first < ordered.size(); first += batch) {
    const auto together = std::span<const Input* const>(ordered).subspan(first);
    forwards.push_back(families_of(together.first(std::min(batch, together.size())), layout));
  }
  return forwards;
}

// Lays out the sequences of one forward and what is asked of their rows.
class ForwardBuilder {
 public:
  explicit ForwardBuilder(std::span<const TokenPair> pairs) : pairs_(pairs) {}

  void add(const Family& family, int64_t padded_length) {
    const int64_t shared_begin = tokens();
    int64_t parent = -1;
    if (family.cost.shared > 0) {
      parent = static_cast<int64_t>(forward_.parents.size());
      add_sequence(family.inputs.front()->ids().first(static_cast<size_t>(family.cost.shared)), -1, 0);
    }
    for (const Input* input : family.inputs) {
      const int64_t own_begin = tokens();
      const Ids own = input->ids().subspan(static_cast<size_t>(family.cost.shared));
      if (!own.empty()) add_sequence(own, parent, std::max<int64_t>(0, padded_length - input->length()));
      ask(*input, [&](int64_t position) {
        return position < family.cost.shared ? shared_begin + position
                                             : own_begin + position - family.cost.shared;
      });
    }
  }
  [[nodiscard]] PairForward take() { return std::move(forward_); }

 private:
  [[nodiscard]] int64_t tokens() const { return static_cast<int64_t>(forward_.token_ids.size()); }
  void add_sequence(Ids ids, int64_t parent, int64_t padding) {
    forward_.token_ids.insert(forward_.token_ids.end(), ids.begin(), ids.end());
    forward_.token_ids.insert(forward_.token_ids.end(), static_cast<size_t>(padding), 0);
    forward_.offsets.push_back(tokens());
    forward_.parents.push_back(parent);
  }
  template <typename RowAt>
  void ask(const Input& input, RowAt row_at) {
    for (const size_t pair : input.pairs) {
      const std::vector<int32_t>& continuation = pairs_[pair].continuation;
      const int64_t first = input.length() - static_cast<int64_t>(continuation.size());
      for (size_t i = 0; i < continuation.size(); ++i) {
        forward_.rows.push_back(row_at(first + static_cast<int64_t>(i)));
      }
      forward_.targets.insert(forward_.targets.end(), continuation.begin(), continuation.end());
      forward_.pairs.push_back(pair);
    }
  }

  std::span<const TokenPair> pairs_;
  PairForward forward_;
};

}  // namespace

PairForwards lay_out_pairs(std::span<const TokenPair> pairs, int64_t context_length,
                           const PairLayout& layout) {
  require(!layout.pads || !layout.shares_contexts, "padded inputs share no contexts");
  require(layout.batch >= 0 && layout.forward_tokens >= 1, "a forward has inputs");
  const std::vector<Input> inputs = distinct_inputs(pairs, context_length);
  PairForwards result;
  for (const Input& input : inputs) {
    if (input.cut > 0) result.cut_contexts += static_cast<int64_t>(input.pairs.size());
  }
  for (const std::vector<Family>& families : forwards_of(inputs, layout)) {
    ForwardBuilder builder(pairs);
    int64_t longest = 0;
    for (const Family& family : families) longest = std::max(longest, family.inputs.front()->length());
    for (const Family& family : families) builder.add(family, layout.pads ? longest : 0);
    result.forwards.push_back(builder.take());
  }
  return result;
}

RunLimits limits_of(std::span<const PairForward> forwards) {
  RunLimits limits{.tokens = 1, .sequences = 1, .positions = 1};
  for (const PairForward& forward : forwards) {
    const TokenBatch batch = forward.batch();
    int64_t kept = 0;
    for (int64_t s = 0; s < batch.sequences(); ++s) {
      const int64_t parent = batch.parent_of(s);
      const int64_t length = batch.rows_of(s) + (parent < 0 ? 0 : batch.rows_of(parent));
      limits.positions = std::max(limits.positions, length);
      kept += length;
    }
    limits.tokens = std::max(limits.tokens, batch.tokens());
    limits.sequences = std::max(limits.sequences, batch.sequences());
    limits.kept = std::max(limits.kept, kept);
  }
  return limits;
}

}  // namespace orthant::models
