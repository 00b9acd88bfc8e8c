// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_TEXT_TEXT_WIDTH_H_
#define KINSOCK_CLI_TEXT_TEXT_WIDTH_H_

#include <cstddef>
#include <string>

namespace kinsock {

// Texts of others on a terminal: labels, paths, messages. Any thread.

// `text` with each character that a terminal would obey rather than show, and each byte that is no UTF-8, as "\x1b".
// Marks that turn the direction of writing are among them: they would move what stands beside them.
std::string CleanText(const std::string& text);

// How many columns a clean text takes: two for a Chinese character, none for an accent of its own.
size_t TextWidth(const std::string& text);

// A clean text in at most `columns`: its last one is "…" when there was more.
std::string CutText(const std::string& text, size_t columns);

}  // namespace kinsock

#endif  // KINSOCK_CLI_TEXT_TEXT_WIDTH_H_
