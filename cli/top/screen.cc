// SPDX-License-Identifier: Apache-2.0
#include "cli/top/screen.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "absl/strings/str_replace.h"
#include "cli/text/output.h"
#include "cli/top/top.h"

namespace kinsock {
namespace {

// xterm's control sequences, which all terminals of today know: another screen without a cursor; home; to the end of
// the line, of the screen.
constexpr char kBegin[] = "\033[?1049h\033[?25l";
constexpr char kEnd[] = "\033[?25h\033[?1049l";
constexpr char kHome[] = "\033[H";
constexpr char kLineEnd[] = "\033[K\r\n";
constexpr char kClearRest[] = "\033[J";

volatile sig_atomic_t to_end = 0;

void OnSignal(int) { to_end = 1; }

}  // namespace

Screen::Screen(bool wanted) : is_terminal_(wanted && isatty(STDOUT_FILENO) == 1) {
  struct sigaction action {};  // without SA_RESTART: poll() ends
  action.sa_handler = OnSignal;
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaction(number, &action, nullptr);
  if (!is_terminal_) return;
  if (tcgetattr(STDIN_FILENO, &before_) == 0) {
    has_keys_ = true;
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  }
  Print(kBegin);
}

Screen::~Screen() {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) signal(number, SIG_DFL);
  if (is_terminal_) Print(kEnd);
  if (has_keys_) tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

bool Screen::Draw(const std::string& text) {
  if (!is_terminal_) {
    Print(text);
  } else {
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) {
      size.ws_col = 80;
      size.ws_row = 24;
    }
    // The last line stays empty: a line break in it would move all of them.
    const std::string shown = FitScreen(text, size.ws_col, static_cast<size_t>(size.ws_row) - 1);
    Print(kHome + absl::StrReplaceAll(shown, {{"\n", kLineEnd}}) + kClearRest);
  }
  return std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
}

char Screen::AwaitKey(std::chrono::milliseconds time) {
  if (to_end != 0) return 'q';
  pollfd key{has_keys_ ? STDIN_FILENO : -1, POLLIN, 0};
  const int ready = poll(&key, 1, static_cast<int>(time.count()));
  if (to_end != 0) return 'q';
  if (ready <= 0) return 0;
  char pressed = 0;
  if (read(STDIN_FILENO, &pressed, 1) == 1) return pressed;
  return 'q';  // the terminal is gone
}

}  // namespace kinsock
