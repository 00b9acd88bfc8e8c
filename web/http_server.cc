// SPDX-License-Identifier: Apache-2.0
#include "web/http_server.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "server/host/process.h"
#include "web/http_limits.h"

namespace kinsock {
namespace {

constexpr char kOverloaded[] =
    "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n";

std::string Crowded() {
  const std::string text =
      absl::StrCat("There are too many connections: ", kMaxHttpConnectionsPerUid, " of one user, or over TCP, and ",
                   kMaxHttpConnections, " of all may be open. Close some.\n");
  return absl::StrCat(
      "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\nContent-Type: text/plain\r\n"
      "Content-Length: ",
      text.size(), "\r\n\r\n", text);
}

}  // namespace

class HttpServer::Connection final : public FdHandler {
 public:
  Connection(HttpServer& server, UniqueFd socket)
      : server_(server), number_(++server.last_connection_), socket_(std::move(socket)) {}
  ~Connection() {
    server_.unread_bytes_ -= unread();
    if (is_refused()) --server_.refusals_;
    ClearDeadline();
    server_.loop_.Forget(socket_.get(), *this);
  }

  // False: not to be served.
  bool Start() {
    SetDeadline(kHttpRequestTime);
    return server_.loop_.Watch(socket_.get(), EPOLLIN, *this).ok();
  }

  // The same, to be told that it will not be, when it has said what it wants.
  bool StartRefused(Caller caller) {
    refused_caller_ = std::move(caller);
    ++server_.refusals_;
    SetDeadline(kHttpRefusalTime);
    return server_.loop_.Watch(socket_.get(), EPOLLIN, *this).ok();
  }

  void OnReady(uint32_t) override {
    if (!GoOn()) server_.Close(socket_.get());
  }

  int fd() const { return socket_.get(); }
  uint64_t number() const { return number_; }
  bool is_refused() const { return refused_caller_.has_value(); }
  // It has asked for nothing, or has had its answer. What has come and is not read yet may be a question.
  bool is_silent() const {
    if (state_ == State::kDraining) return true;
    char byte;
    return state_ == State::kReading && recv(socket_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
  }

  // Its request has to wait for its answer, which is somebody else's time.
  void AwaitAnswer() {
    ClearDeadline();
    state_ = State::kAnswering;
    server_.loop_.Rearm(socket_.get(), 0, *this);
  }

  // False: to be closed.
  bool Answer(HttpOutput output) {
    stream_ = std::move(output.stream);
    if (stream_ != nullptr) {
      stream_->SetWake([this] {
        if (state_ == State::kWaiting && !Write()) server_.Close(socket_.get());
      });
    }
    Say(std::move(output.bytes));
    SetDeadline(kHttpAnswerTime);
    return Write();
  }

 private:
  enum class State : uint8_t { kReading, kAnswering, kWriting, kWaiting, kDraining };

  bool GoOn() {
    switch (state_) {
      case State::kReading:
        return Read();
      case State::kAnswering:
        return false;  // nothing else is told: the client is gone
      case State::kWriting:
        return Write();
      case State::kWaiting:
      case State::kDraining:
        break;
    }
    return Drain();
  }

  void SetDeadline(std::chrono::seconds patience) {
    ClearDeadline();
    timer_ = server_.loop_.RunAfter(patience, [this] {
      timer_.reset();
      if (state_ == State::kReading) {
        // This thread may have been late, and not the client.
        if (!Read()) return server_.Close(socket_.get());
        if (state_ != State::kReading) return;
        if (is_refused() && Answer({Crowded(), nullptr})) return;
      }
      if (!is_refused()) Abandon();
      server_.Close(socket_.get());
    });
  }
  void ClearDeadline() {
    if (timer_.has_value()) server_.loop_.Cancel(*timer_);
    timer_.reset();
  }
  bool Abandon() {
    server_.abandoned_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  size_t unread() const { return answer_.size() - written_; }
  void Say(std::string bytes) {
    answer_ = std::move(bytes);
    written_ = 0;
    server_.unread_bytes_ += answer_.size();
  }

  bool Read() {
    std::array<char, 2048> data;
    const ssize_t count = recv(socket_.get(), data.data(), data.size(), 0);
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    if (count == 0) return false;
    const size_t seen = head_.size() < 3 ? 0 : head_.size() - 3;
    head_.append(data.data(), static_cast<size_t>(count));
    const size_t end = head_.find("\r\n\r\n", seen);
    if (end == std::string::npos) return head_.size() <= kMaxHttpHeadBytes || Abandon();
    if (end > kMaxHttpHeadBytes) return Abandon();
    head_.resize(end + 4);
    const std::string head = std::exchange(head_, std::string());
    if (!is_refused()) return server_.TakeRequest(*this, head);
    std::optional<HttpOutput> output = server_.answers_.though_crowded(head, *refused_caller_);
    return Answer(output.has_value() ? *std::move(output) : HttpOutput{Crowded(), nullptr});
  }

  // Until the client takes no more for now, or there is none.
  bool Write() {
    for (;;) {
      while (unread() > 0) {
        const ssize_t count = send(socket_.get(), answer_.data() + written_, unread(), MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno == EAGAIN) {
          state_ = State::kWriting;
          server_.loop_.Rearm(socket_.get(), EPOLLOUT, *this);
          return true;
        }
        if (count < 0) return false;
        written_ += static_cast<size_t>(count);
        server_.unread_bytes_ -= static_cast<size_t>(count);
      }
      answer_ = std::string();
      written_ = 0;
      if (stream_ == nullptr) break;
      std::optional<std::string> piece = stream_->Next();
      if (!piece.has_value()) break;
      if (piece->empty()) return WaitForMore();
      Say(*std::move(piece));
      SetDeadline(kHttpAnswerTime);
    }
    // What the client has sent besides and nobody reads would make the kernel throw the answer away.
    shutdown(socket_.get(), SHUT_WR);
    stream_ = nullptr;
    if (state_ == State::kWaiting) SetDeadline(kHttpAnswerTime);
    state_ = State::kDraining;
    server_.loop_.Rearm(socket_.get(), EPOLLIN, *this);
    return Drain();
  }

  // A stream has nothing now; its client may wait for ever, and go away.
  bool WaitForMore() {
    ClearDeadline();
    state_ = State::kWaiting;
    server_.loop_.Rearm(socket_.get(), EPOLLIN, *this);
    return Drain();
  }

  bool Drain() {
    std::array<char, 2048> data;
    const ssize_t count = recv(socket_.get(), data.data(), data.size(), 0);
    if (count > 0) return (drained_ += static_cast<size_t>(count)) <= kMaxHttpHeadBytes || Abandon();
    return count < 0 && (errno == EAGAIN || errno == EINTR);
  }

  HttpServer& server_;
  const uint64_t number_;  // never another's
  const UniqueFd socket_;
  State state_ = State::kReading;
  std::optional<Caller> refused_caller_;  // is one too many
  std::string head_;
  std::string answer_;
  size_t written_ = 0;
  size_t drained_ = 0;
  std::optional<EventLoop::TimerId> timer_;
  std::unique_ptr<HttpStream> stream_;  // null: the answer ends
};

HttpServer::HttpServer(BoundSocket socket, Identify identify, Answers answers, std::function<void()> on_stopped)
    : identify_(std::move(identify)),
      answers_(std::move(answers)),
      on_stopped_(std::move(on_stopped)),
      callers_(Clock::Monotonic(), {.per_uid = kMaxHttpConnectionsPerUid,
                                    .without_role = kMaxApiConnectionsWithoutRole,
                                    .tls = kMaxHttpTcpConnections,
                                    .total = kMaxHttpConnections}),
      listener_(
          loop_, std::move(socket), callers_, identify_, [this](UniqueFd connection) { Admit(std::move(connection)); },
          [this](UniqueFd connection) { Refuse(std::move(connection)); }) {}

HttpServer::~HttpServer() {
  if (!thread_.joinable()) return;
  Stop();
  thread_.join();
}

absl::Status HttpServer::Start() {
  // Before there is a thread: a server that nobody reaches is none.
  KINSOCK_RETURN_IF_ERROR(listener_.Start());
  thread_ = std::thread([this] { Serve(); });
  pthread_setname_np(thread_.native_handle(), "http");
  return absl::OkStatus();
}

void HttpServer::Stop() { loop_.Stop(); }

void HttpServer::Serve() {
  std::thread worker([this] {
    StandBehindReactors();
    work_.Run();
  });
  pthread_setname_np(worker.native_handle(), "http-answers");
  loop_.Run();
  listener_.Stop();
  connections_.clear();
  // What it is asked for at the moment may be the main thread's, which goes on until this is over.
  work_.Stop();
  worker.join();
  on_stopped_();
}

void HttpServer::Admit(UniqueFd socket) {
  const int fd = socket.get();
  auto connection = std::make_unique<Connection>(*this, std::move(socket));
  if (!connection->Start()) return;
  connections_[fd] = std::move(connection);
  open_.store(connections_.size(), std::memory_order_relaxed);
}

void HttpServer::Close(int fd) {
  std::erase_if(waiting_, [fd](const Waiting& request) { return request.fd == fd; });
  callers_.Remove(fd);
  connections_.erase(fd);
  open_.store(connections_.size(), std::memory_order_relaxed);
}

void HttpServer::Refuse(UniqueFd socket) {
  refused_.fetch_add(1, std::memory_order_relaxed);
  const int fd = socket.get();
  absl::StatusOr<Caller> caller = identify_(fd);
  if (!caller.ok()) return;
  if (const Connection* silent = LongestSilent(false); silent != nullptr) {
    Close(silent->fd());
    if (callers_.Add(fd, *caller)) return Admit(std::move(socket));
  }
  if (refusals_ >= kMaxHttpRefusals) {
    const Connection* silent = LongestSilent(true);
    if (silent == nullptr) return;
    Close(silent->fd());
  }
  auto connection = std::make_unique<Connection>(*this, std::move(socket));
  if (!connection->StartRefused(*std::move(caller))) return;
  connections_[fd] = std::move(connection);
}

// Of those that are served, or of those that are refused. Null: all have asked for something.
HttpServer::Connection* HttpServer::LongestSilent(bool refused) {
  Connection* longest = nullptr;
  for (const auto& [fd, connection] : connections_) {
    if (connection->is_refused() != refused || !connection->is_silent()) continue;
    if (longest == nullptr || connection->number() < longest->number()) longest = connection.get();
  }
  return longest;
}

Caller HttpServer::CallerOf(int fd) const { return callers_.Find(absl::StrCat("fd:", fd)).value_or(Caller()); }

bool HttpServer::TakeRequest(Connection& connection, std::string head) {
  std::optional<HttpOutput> output = answers_.at_once(head, CallerOf(connection.fd()));
  if (output.has_value()) return connection.Answer(*std::move(output));
  connection.AwaitAnswer();
  waiting_.push_back({connection.fd(), connection.number(), std::move(head)});
  GoOn();
  return true;
}

// One at a time: what it will have said is counted in unread_bytes_ before the next is asked.
void HttpServer::GoOn() {
  while (!working_ && !waiting_.empty()) {
    Waiting request = std::move(waiting_.front());
    waiting_.pop_front();
    if (Find(request) == nullptr) continue;
    if (unread_bytes_ > kMaxHttpUnreadBytes) {
      overloaded_.fetch_add(1, std::memory_order_relaxed);
      // Not from within the connection.
      loop_.Post([this, request = std::move(request)] { Finish(request, {kOverloaded, nullptr}); });
      continue;
    }
    working_ = true;
    work_.Post([this, request = std::move(request), caller = CallerOf(request.fd)]() mutable {
      HttpOutput output = answers_.slowly(request.head, caller);
      loop_.Post([this, request = std::move(request), output = std::move(output)]() mutable {
        working_ = false;
        Finish(request, std::move(output));
        GoOn();
      });
    });
  }
}

void HttpServer::Finish(const Waiting& request, HttpOutput output) {
  Connection* connection = Find(request);
  if (connection != nullptr && !connection->Answer(std::move(output))) Close(request.fd);
}

// Null: it is gone.
HttpServer::Connection* HttpServer::Find(const Waiting& request) {
  const auto found = connections_.find(request.fd);
  const bool is_it = found != connections_.end() && found->second->number() == request.connection;
  return is_it ? found->second.get() : nullptr;
}

}  // namespace kinsock
