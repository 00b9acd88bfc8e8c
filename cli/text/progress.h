// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_TEXT_PROGRESS_H_
#define KINSOCK_CLI_TEXT_PROGRESS_H_

#include <chrono>
#include <optional>
#include <string>

namespace kinsock {

// One line on standard error that tells how far a command is, while somebody looks: without a terminal, and while a
// command is quick, nothing is written. The line is gone when this is. One thread.
class Progress {
 public:
  // Who waits for less wants no news.
  static constexpr std::chrono::milliseconds kPatience{500};

  Progress();
  ~Progress() { Clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Whether anybody sees it, now or later.
  bool is_seen() const { return is_seen_; }

  // Shows `text`; ten times a second at most, else nothing.
  void Say(const std::string& text);

  // Takes the line away, for another text on the terminal.
  void Clear();

 private:
  const bool is_seen_;
  const std::chrono::steady_clock::time_point begun_;
  std::optional<std::chrono::steady_clock::time_point> said_;
  bool is_shown_ = false;
};

}  // namespace kinsock

#endif  // KINSOCK_CLI_TEXT_PROGRESS_H_
