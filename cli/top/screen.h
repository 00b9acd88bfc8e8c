// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_TOP_SCREEN_H_
#define KINSOCK_CLI_TOP_SCREEN_H_

#include <termios.h>

#include <chrono>
#include <string>

namespace kinsock {

// What a person sees who watches: the terminal of standard output, drawn anew again and again, and the keys of standard
// input. Without a terminal, or where it is not wanted, texts follow each other. One at a time: the terminal is as
// before when this goes, also after SIGINT and SIGTERM.
class Screen {
 public:
  explicit Screen(bool wanted);
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  bool is_terminal() const { return is_terminal_; }

  // Shows `text`, as far as it fits. False: nobody sees it.
  bool Draw(const std::string& text);

  // The key that is pressed within `time`; 0: none; 'q': also when it is to end.
  char AwaitKey(std::chrono::milliseconds time);

 private:
  bool is_terminal_ = false;
  bool has_keys_ = false;
  termios before_{};
};

}  // namespace kinsock

#endif  // KINSOCK_CLI_TOP_SCREEN_H_
