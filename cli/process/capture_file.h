// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_PROCESS_CAPTURE_FILE_H_
#define KINSOCK_CLI_PROCESS_CAPTURE_FILE_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include "api/kinsock/v1/capture.pb.h"
#include "base/unique_fd.h"

namespace kinsock {

// Where the pieces of a capture go, and what a person is told meanwhile. One thread.
class CaptureFile {
 public:
  // `path`: "-" is standard output. A file is made when there is something to write into it, readable by its owner
  // only, in place of what was there.
  explicit CaptureFile(std::string path) : path_(std::move(path)), shows_progress_(IsTerminal()) {}

  // Writes the piece and shows how far the capture is, if standard error is a terminal. 0, or an errno; then nothing of
  // the piece is in the file, which is whole.
  int Add(const v1::CaptureChunk& chunk);

  // Whether it could be opened, and how to call it.
  bool opened() const { return fd_ >= 0; }
  std::string name() const { return path_ == "-" ? "standard output" : path_; }
  bool empty() const { return packets_ == 0; }

  // The last word: "12 packets captured, 3 lost". On standard error.
  void Summarize() const;

 private:
  static bool IsTerminal();
  int Open();
  std::string Counts() const;
  void ShowProgress();

  const std::string path_;
  const bool shows_progress_;
  UniqueFd file_;
  int fd_ = -1;
  uint64_t packets_ = 0;
  uint64_t lost_ = 0;
  uint64_t cut_ = 0;
  uint64_t bytes_ = 0;
  std::chrono::steady_clock::time_point shown_at_{};
};

}  // namespace kinsock

#endif  // KINSOCK_CLI_PROCESS_CAPTURE_FILE_H_
