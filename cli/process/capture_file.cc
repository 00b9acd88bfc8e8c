// SPDX-License-Identifier: Apache-2.0
#include "cli/process/capture_file.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "absl/strings/str_cat.h"

namespace kinsock {
namespace {

constexpr std::chrono::milliseconds kShowEvery{200};
// What people have said to each other may be in it.
constexpr mode_t kMode = 0600;
// What a pipe may have without privileges (/proc/sys/fs/pipe-max-size).
constexpr int kPipeBytes = 1 << 20;

// A file that ends within a packet is no whole one: what is there of the last piece goes again. A pipe keeps what it
// got.
void TakeBack(int out, size_t bytes) {
  const off_t end = lseek(out, 0, SEEK_CUR);
  if (end < static_cast<off_t>(bytes)) return;
  if (ftruncate(out, end - static_cast<off_t>(bytes)) == 0) lseek(out, end - static_cast<off_t>(bytes), SEEK_SET);
}

int WriteAll(int out, const std::string& bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t written = write(out, bytes.data() + done, bytes.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) {  // somebody has made our pipe non-blocking
      pollfd ready{out, POLLOUT, 0};
      poll(&ready, 1, -1);
      continue;
    }
    if (written < 0) {
      const int error = errno;
      if (done > 0) TakeBack(out, done);
      return error;
    }
    done += static_cast<size_t>(written);
  }
  return 0;
}

}  // namespace

bool CaptureFile::IsTerminal() { return isatty(STDERR_FILENO) != 0; }

int CaptureFile::Open() {
  if (fd_ >= 0) return 0;
  signal(SIGXFSZ, SIG_IGN);  // a file that may not grow (ulimit -f) is an error like a disk that is full
  if (path_ == "-") {
    fd_ = STDOUT_FILENO;
    // Best effort: who reads is woken less often, and may stop for a moment.
    fcntl(fd_, F_SETPIPE_SZ, kPipeBytes);
    return 0;
  }
  file_.reset(open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kMode));
  fd_ = file_.get();
  if (fd_ < 0) return errno;
  // One that was there keeps its mode otherwise. A pipe or a device is whoever made it.
  struct stat found;
  const bool is_file = fstat(fd_, &found) == 0 && S_ISREG(found.st_mode);
  return is_file && fchmod(fd_, kMode) != 0 ? errno : 0;
}

int CaptureFile::Add(const v1::CaptureChunk& chunk) {
  if (const int error = Open(); error != 0) return error;
  if (const int error = WriteAll(fd_, chunk.data()); error != 0) return error;
  bytes_ += chunk.data().size();
  packets_ = chunk.packets();
  lost_ = chunk.lost();
  cut_ = chunk.cut();
  if (shows_progress_) ShowProgress();
  return 0;
}

void CaptureFile::ShowProgress() {
  const auto now = std::chrono::steady_clock::now();
  if (now - shown_at_ < kShowEvery) return;
  shown_at_ = now;
  std::fprintf(stderr, "\r\033[K%s, %llu KiB; Ctrl-C ends the capture", Counts().c_str(),
               static_cast<unsigned long long>(bytes_ >> 10));
}

std::string CaptureFile::Counts() const {
  return absl::StrCat(packets_, packets_ == 1 ? " packet" : " packets", " captured, ", lost_, " lost",
                      cut_ > 0 ? absl::StrCat(", ", cut_, " without their payload") : "");
}

void CaptureFile::Summarize() const {
  std::fprintf(stderr, "%s%s\n", shows_progress_ ? "\r\033[K" : "", Counts().c_str());
}

}  // namespace kinsock
