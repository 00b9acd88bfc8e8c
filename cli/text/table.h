// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_TEXT_TABLE_H_
#define KINSOCK_CLI_TEXT_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cli/text/options.h"

namespace kinsock {

// How a cell is coloured, on terminals that show colours.
enum class Tint : uint8_t { kNone, kGood, kNotice, kBad };

// Rows of text in aligned columns, two spaces apart; no lines, so that awk reads it, too.
class Table {
 public:
  // Columns of a terminal that each column of a table keeps, however narrow the terminal is.
  static constexpr size_t kLeastColumns = 8;

  explicit Table(std::vector<std::string> headers) : headers_(std::move(headers)) {}

  // As many cells as there are headers. An empty cell is shown as "-", so that columns can be counted. Colours come of
  // what stands in which column (TintOf()).
  void Add(std::vector<std::string> row);

  // The colour of a cell of the row that was added last.
  void SetTint(size_t column, Tint tint);

  // All of it, without colours: for a pipe.
  std::string Render(bool with_headers) const;

  // As it fits standard output: on a terminal that is too narrow the widest columns are cut first, then all lines. In a
  // pipe nothing is, nor of kWide, which was asked for to see all.
  std::string Render(const Options& options) const;

 private:
  struct Row {
    std::vector<std::string> cells;
    std::vector<Tint> tints;
  };

  std::string Render(bool with_headers, size_t columns, bool colour) const;

  const std::vector<std::string> headers_;
  std::vector<Row> rows_;
};

// What the words of the API mean for who looks at them, by the column that they stand in: "ACTIVE" in STATE is good.
Tint TintOf(const std::string& header, const std::string& cell);

// `text` in the colour of `tint`.
std::string Tinted(const std::string& text, Tint tint);

}  // namespace kinsock

#endif  // KINSOCK_CLI_TEXT_TABLE_H_
