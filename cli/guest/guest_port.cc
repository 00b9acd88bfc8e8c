// SPDX-License-Identifier: Apache-2.0
#include "cli/guest/guest_port.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/call/same_daemon.h"
#include "cli/explain/host_lines.h"
#include "cli/explain/refusal.h"
#include "cli/explain/unix_listener.h"
#include "cli/view/vm_view.h"

namespace kinsock {
namespace {

// "OK 4294967295\n" is the longest answer.
constexpr size_t kMostAnswerBytes = 14;
constexpr uint32_t kHostCid = 2;

ExitCode Fail(ExitCode code, const std::string& what, const std::string& next) {
  std::fprintf(stderr, "kinsockctl: %s\n  try: %s\n", what.c_str(), SameDaemon(next).c_str());
  return code;
}

std::optional<sockaddr_un> Address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return std::nullopt;
  memcpy(address.sun_path, path.data(), path.size());
  return address;
}

UniqueFd NewSocket() { return UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

void SetTimeouts(int fd, std::chrono::milliseconds timeout) {
  const timeval time{timeout.count() / 1000, timeout.count() % 1000 * 1000};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time));  // for connect(), too: the backlog may be full
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
}

int Connect(int fd, const std::string& path) {
  const std::optional<sockaddr_un> address = Address(path);
  if (!address.has_value()) return ENAMETOOLONG;
  return connect(fd, reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) == 0 ? 0 : errno;
}

ExitCode CannotReach(const std::string& path, int error) {
  const std::string what = absl::StrCat(path, ": ", strerror(error));
  switch (error) {
    case EACCES:
    case EPERM:
      return Fail(kExitDenied, what, absl::StrCat("ls -l ", path, ", and join its group or become its owner"));
    case EAGAIN:
      return Fail(kExitDeadline, absl::StrCat(path, " is too busy to take a connection"), "the same again");
    case ENOENT:
      return Fail(kExitUnavailable, absl::StrCat(what, "; a VM's socket is on the machine of its daemon"),
                  "the same on that machine");
    default:
      return Fail(kExitUnavailable, what, "kinsockctl vm list -o wide");
  }
}

// The line that the daemon answers with; empty: the socket was closed. Nothing: `error` tells.
std::optional<std::string> ReadAnswer(int fd, std::chrono::steady_clock::time_point deadline, int& error) {
  std::string line;
  while (line.size() < kMostAnswerBytes && !absl::EndsWith(line, "\n")) {
    char byte = 0;
    const ssize_t bytes = recv(fd, &byte, 1, 0);
    if (bytes == 1) {
      line += byte;
    } else if (bytes == 0 || errno == ECONNRESET) {
      return "";
    } else if (errno != EINTR) {
      error = errno;
      return std::nullopt;
    }
    if (std::chrono::steady_clock::now() > deadline) {
      error = EAGAIN;
      return std::nullopt;
    }
  }
  return line;
}

// The daemon has closed the socket in place of an OK; whom it turned away it remembers.
ExitCode ExplainRefusal(Client& client, const v1::Vm& vm, uint32_t port) {
  const std::string name = ShortVmName(vm.name());
  const std::string next = absl::StrCat("kinsockctl conn list --closed --vm ", name);
  if (const std::optional<Obstacle> obstacle = ObstacleOf(vm); obstacle.has_value()) {
    return Fail(kExitConflict, absl::StrCat(name, ":", port, " cannot be reached: ", obstacle->cause), obstacle->next);
  }
  const std::optional<v1::Connection> refused = LastClosed(client, vm.name(), [&](const v1::Connection& connection) {
    return connection.target().vm() == vm.name() && connection.target().port() == port &&
           connection.initiator().cid() == kHostCid;
  });
  if (!refused.has_value()) {
    return Fail(kExitConflict, absl::StrCat(name, ":", port, " refused the connection"), next);
  }
  return Fail(ExitCodeOf(refused->close_reason()),
              absl::StrCat(name, ":", port, " refused the connection: ", ReasonText(refused->close_reason())),
              NextAfter(refused->close_reason(), "host", name, port));
}

// What a signal has to remove. Written before the handler is there; read by it alone.
char socket_to_remove[sizeof(sockaddr_un::sun_path)];

void RemoveSocketAndEnd(int signal_number) {
  unlink(socket_to_remove);
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

// A socket file that is there while this lives.
class ListenerFile {
 public:
  explicit ListenerFile(const sockaddr_un& address) {
    memcpy(socket_to_remove, address.sun_path, sizeof(socket_to_remove));
    struct sigaction action {};
    action.sa_handler = RemoveSocketAndEnd;
    for (const int number : kSignals) sigaction(number, &action, nullptr);
  }
  ~ListenerFile() {
    for (const int number : kSignals) signal(number, SIG_DFL);
    unlink(socket_to_remove);
  }
  ListenerFile(const ListenerFile&) = delete;
  ListenerFile& operator=(const ListenerFile&) = delete;

 private:
  static constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};
};

// Programs that begin to listen in one directory do so one after the other: of two that find the same file left behind
// the later would remove what the earlier has made in its place. Others may hold such a lock for reasons of their own;
// they are not waited for longer than kinsockctl takes.
UniqueFd LockDirectory(const std::string& path) {
  constexpr int kTries = 100;
  constexpr useconds_t kPause = 10'000;
  UniqueFd directory(open(path.substr(0, path.rfind('/') + 1).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int i = 0; directory.valid() && i < kTries && flock(directory.get(), LOCK_EX | LOCK_NB) != 0; ++i) {
    usleep(kPause);
  }
  return directory;
}

int BindAt(int fd, const sockaddr_un& address) {
  // Anybody may connect, as far as the directory lets him: the daemon often is another user. AcceptFromGuest() looks
  // who it is.
  fchmod(fd, 0666);
  const mode_t old = umask(0);
  int error = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ? 0 : errno;
  if (error == EADDRINUSE && IsLeftBehind(address.sun_path) && unlink(address.sun_path) == 0) {
    error = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ? 0 : errno;
  }
  umask(old);
  return error;
}

// Whether the process that has connected to `fd` is the user that made the VM's socket: the daemon.
bool IsDaemon(int fd, const struct stat& hybrid_socket) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         (peer.uid == hybrid_socket.st_uid || peer.uid == 0);
}

}  // namespace

ExitCode FindHybridVm(Client& client, const std::string& vm, uint32_t port, bool to_guest, v1::Vm& found) {
  grpc::ClientContext context;
  client.SetDeadline(context, kQuestionTimeout);
  v1::GetVmRequest request;
  request.set_name(FullVmName(std::string(absl::StripSuffix(vm, kSshDomain))));
  const grpc::Status status = client.vms().GetVm(&context, request, &found);
  if (!status.ok()) return client.Report(status);
  if (!found.status().uds_path().empty()) return kExitOk;
  const std::string name = ShortVmName(found.name());
  const char* const lacks = found.spec().has_vsock_proxy()
                                ? " has the host's own AF_VSOCK as its host side, not a socket"
                                : " was made without a socket for host programs (--uds-path)";
  return Fail(kExitConflict, name + lacks, LineWithoutSocket(found, port, to_guest));
}

Dialled TryDial(const std::string& path, uint32_t port, std::chrono::milliseconds timeout, UniqueFd& socket,
                int& error) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  UniqueFd fd = NewSocket();
  error = fd.valid() ? 0 : errno;
  if (!fd.valid()) return Dialled::kUnreachable;
  SetTimeouts(fd.get(), timeout);
  error = Connect(fd.get(), path);
  if (error != 0) return Dialled::kUnreachable;
  const std::string command = absl::StrCat("CONNECT ", port, "\n");
  if (send(fd.get(), command.data(), command.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(command.size())) {
    error = errno;
    // Without a guest it hangs up before it is asked.
    return error == EPIPE || error == ECONNRESET ? Dialled::kRefused : Dialled::kUnreachable;
  }
  const std::optional<std::string> answer = ReadAnswer(fd.get(), deadline, error);
  if (!answer.has_value()) return error == EAGAIN ? Dialled::kSilent : Dialled::kUnreachable;
  if (answer->empty()) return Dialled::kRefused;
  if (!absl::StartsWith(*answer, "OK ")) return Dialled::kStranger;
  SetTimeouts(fd.get(), std::chrono::milliseconds(0));  // none
  socket = std::move(fd);
  return Dialled::kConnected;
}

ExitCode DialGuest(Client& client, const v1::Vm& vm, uint32_t port, std::chrono::milliseconds timeout,
                   UniqueFd& socket) {
  const std::string& path = vm.status().uds_path();
  int error = 0;
  switch (TryDial(path, port, timeout, socket, error)) {
    case Dialled::kConnected:
      break;
    case Dialled::kUnreachable:
      return CannotReach(path, error);
    case Dialled::kRefused:
      return ExplainRefusal(client, vm, port);
    case Dialled::kSilent:
      return Fail(kExitDeadline, absl::StrCat(ShortVmName(vm.name()), ":", port, " did not answer in time"),
                  "a longer --timeout");
    case Dialled::kStranger:
      return Fail(kExitError, absl::StrCat(path, " does not answer as a VM's socket does"),
                  "kinsockctl vm list -o wide");
  }
  return kExitOk;
}

ExitCode AcceptFromGuest(const v1::Vm& vm, uint32_t port, UniqueFd& socket) {
  const std::string path = absl::StrCat(vm.status().uds_path(), "_", port);
  struct stat hybrid_socket {};
  if (stat(vm.status().uds_path().c_str(), &hybrid_socket) != 0) return CannotReach(vm.status().uds_path(), errno);
  const std::optional<sockaddr_un> address = Address(path);
  if (!address.has_value()) return CannotReach(path, ENAMETOOLONG);
  const UniqueFd listener = NewSocket();
  UniqueFd lock = LockDirectory(path);
  if (const int error = BindAt(listener.get(), *address); error != 0) {
    if (error == EADDRINUSE) {
      return Fail(kExitConflict, absl::StrCat("another program listens on ", path, " already"),
                  absl::StrCat("ss -xlp src ", path));
    }
    if (error == EACCES) {
      return Fail(kExitDenied, absl::StrCat("no socket can be made at ", path, ": ", strerror(error)),
                  "the same as a user who may write to that directory");
    }
    return CannotReach(path, error);
  }
  const ListenerFile file(*address);
  if (listen(listener.get(), 1) != 0) return CannotReach(path, errno);
  lock.reset();
  for (;;) {
    UniqueFd fd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd.valid() && errno != EINTR && errno != ECONNABORTED) return CannotReach(path, errno);
    if (!fd.valid() || !IsDaemon(fd.get(), hybrid_socket)) continue;
    socket = std::move(fd);
    return kExitOk;
  }
}

}  // namespace kinsock
