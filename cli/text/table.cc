// SPDX-License-Identifier: Apache-2.0
#include "cli/text/table.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "cli/text/text_width.h"

namespace kinsock {
namespace {

constexpr size_t kGap = 2;

// Takes from the widest columns what a terminal has not, as long as they have more than they keep.
void Shrink(size_t columns, std::vector<size_t>& widths) {
  const size_t gaps = kGap * (widths.size() - 1);
  size_t sum = std::accumulate(widths.begin(), widths.end(), gaps);
  while (sum > columns) {
    const auto widest = std::max_element(widths.begin(), widths.end());
    if (*widest <= Table::kLeastColumns) return;
    --*widest;
    --sum;
  }
}

// `columns`: of the terminal; 0: any number.
void AppendRow(const std::vector<std::string>& cells, const std::vector<Tint>& tints, const std::vector<size_t>& widths,
               size_t columns, std::string& out) {
  size_t used = 0;
  for (size_t i = 0; i < cells.size(); ++i) {
    const bool is_last = i + 1 == cells.size();
    std::string cell = columns > 0 ? CutText(cells[i], widths[i]) : cells[i];
    const size_t gap = is_last ? 0 : widths[i] - TextWidth(cell) + kGap;
    const size_t next = used + TextWidth(cell) + gap;
    if (columns > 0 && (next > columns || (!is_last && next == columns))) {
      // There is no room for the rest of the row: the cell says so.
      out += Tinted(CutText(cell + std::string(gap + 1, ' '), columns - used), tints[i]);
      break;
    }
    out += Tinted(cell, tints[i]);
    out.append(gap, ' ');
    used = next;
  }
  out += '\n';
}

}  // namespace

void Table::Add(std::vector<std::string> row) {
  row.resize(headers_.size());
  std::vector<Tint> tints;
  for (size_t i = 0; i < row.size(); ++i) {
    row[i] = row[i].empty() ? "-" : CleanText(row[i]);
    tints.push_back(TintOf(headers_[i], row[i]));
  }
  rows_.push_back({std::move(row), std::move(tints)});
}

void Table::SetTint(size_t column, Tint tint) { rows_.back().tints[column] = tint; }

std::string Table::Render(bool with_headers) const { return Render(with_headers, 0, false); }

std::string Table::Render(const Options& options) const {
  return Render(options.headers, options.format == OutputFormat::kWide ? 0 : options.columns, options.colour);
}

std::string Table::Render(bool with_headers, size_t columns, bool colour) const {
  if (headers_.empty()) return "";
  std::vector<size_t> widths;
  for (size_t i = 0; i < headers_.size(); ++i) {
    size_t width = with_headers ? TextWidth(headers_[i]) : 0;
    for (const Row& row : rows_) width = std::max(width, TextWidth(row.cells[i]));
    widths.push_back(width);
  }
  if (columns > 0) Shrink(columns, widths);
  const std::vector<Tint> plain(headers_.size(), Tint::kNone);
  std::string out;
  if (with_headers) AppendRow(headers_, plain, widths, columns, out);
  for (const Row& row : rows_) AppendRow(row.cells, colour ? row.tints : plain, widths, columns, out);
  return out;
}

}  // namespace kinsock
