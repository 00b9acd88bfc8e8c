// SPDX-License-Identifier: Apache-2.0
#include "base/nearest_name.h"

#include <algorithm>
#include <cstddef>

namespace kinsock {
namespace {

// Edits (insert, delete, replace a character) from `a` to `b`.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string_view NearestName(std::string_view wrong, const std::vector<std::string_view>& known) {
  constexpr size_t kLongest = 64;  // of a key that was mistyped; the distance costs the product of both lengths
  if (wrong.size() > kLongest) return {};
  std::string_view best;
  size_t best_distance = 3;  // more than two slips, and it was meant to be something else
  for (const std::string_view candidate : known) {
    const size_t distance = EditDistance(wrong, candidate);
    if (distance < best_distance && distance < candidate.size()) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace kinsock
