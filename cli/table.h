// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_TABLE_H_
#define KINSOCK_CLI_TABLE_H_

#include <string>
#include <vector>

namespace kinsock {

// Rows of text in aligned columns, two spaces apart; no lines, no colours, so that awk reads it, too.
class Table {
 public:
  explicit Table(std::vector<std::string> headers) : headers_(std::move(headers)) {}

  // As many cells as there are headers. An empty cell is shown as "-", so that columns can be counted.
  void Add(std::vector<std::string> row);

  std::string Render(bool with_headers) const;

 private:
  const std::vector<std::string> headers_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace kinsock

#endif  // KINSOCK_CLI_TABLE_H_
