// The rows of a sweep's result as its reader wants them: those for which conditions hold, the best one, as a
// table, JSON lines or CSV. Pure; thread-safe.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <vector>

namespace orthant::launch {

// `NAME OP VALUE` with = != < <= > >=, for example "sae.k=32" or "l0<70". NAME is a field of the point (whole
// or its last part), or a number of the result, dotted.
struct CellCondition {
  std::string name;
  std::string comparison;
  std::string value;
};
// Throws Error(kUsage).
[[nodiscard]] CellCondition parse_condition(const std::string& text);

// What `name` is in a cell; nothing where it has none.
[[nodiscard]] std::optional<boost::json::value> cell_value(const boost::json::object& cell,
                                                           const std::string& name);
// Numbers are compared as numbers, all else as text, which is only = or !=.
[[nodiscard]] bool holds(const CellCondition& condition, const boost::json::object& cell);

// The cells for which all of `where` hold; of `best` (a name, with - before it: smallest) only the best cell.
// Throws Error(kUsage) for a condition that cannot be read and a name that no cell has.
[[nodiscard]] std::vector<boost::json::object> chosen_cells(const boost::json::array& cells,
                                                            const std::vector<std::string>& where,
                                                            const std::string& best);

// The numbers of a cell's result that its table shows: what is named first here and is there.
[[nodiscard]] std::vector<std::string> table_numbers(const std::vector<boost::json::object>& cells);

[[nodiscard]] std::string cells_table(const std::vector<boost::json::object>& cells);
[[nodiscard]] std::string cells_jsonl(const std::vector<boost::json::object>& cells);
// A header and a line a cell: key, state, reason, fields of the point, every scalar of the results.
[[nodiscard]] std::string cells_csv(const std::vector<boost::json::object>& cells);

}  // namespace orthant::launch
