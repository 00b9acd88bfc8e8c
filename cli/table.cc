// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace kinsock {
namespace {

// Characters, not bytes, as far as UTF-8 tells: what a terminal shows of names and paths.
size_t Width(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](unsigned char c) { return (c & 0xc0) != 0x80; }));
}

void AppendRow(const std::vector<std::string>& row, const std::vector<size_t>& widths, std::string& out) {
  for (size_t i = 0; i < row.size(); ++i) {
    out += row[i];
    if (i + 1 < row.size()) out.append(widths[i] - Width(row[i]) + 2, ' ');
  }
  out += '\n';
}

}  // namespace

void Table::Add(std::vector<std::string> row) {
  row.resize(headers_.size());
  for (std::string& cell : row) {
    if (cell.empty()) cell = "-";
  }
  rows_.push_back(std::move(row));
}

std::string Table::Render(bool with_headers) const {
  std::vector<size_t> widths;
  for (size_t i = 0; i < headers_.size(); ++i) {
    size_t width = with_headers ? Width(headers_[i]) : 0;
    for (const auto& row : rows_) width = std::max(width, Width(row[i]));
    widths.push_back(width);
  }
  std::string out;
  if (with_headers) AppendRow(headers_, widths, out);
  for (const auto& row : rows_) AppendRow(row, widths, out);
  return out;
}

}  // namespace kinsock
