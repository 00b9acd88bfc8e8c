// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/call_queue.h"

#include <bit>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/host/log.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

// Main gets through some hundred calls in this time, unless each of them is a large list.
constexpr std::chrono::milliseconds kRetry{1000};

absl::Status Full(const Caller& caller, const char* limit, size_t value, const std::string& what) {
  const std::string text = absl::StrCat(what, ", as many as may wait; send fewer at a time");
  return Error(absl::StatusCode::kResourceExhausted, "QUOTA_EXCEEDED", absl::StrCat(caller.ToString(), ": ", text))
      .With("limit", limit)
      .With("value", absl::StrCat(value))
      .Quota("caller", text)
      .RetryAfter(kRetry);
}

// The first one of `map` after `last`, round in a circle, that `may`; the end: none.
template <typename Map, typename May>
typename Map::iterator NextInTurn(Map& map, const typename Map::key_type& last, const May& may) {
  const auto first = map.upper_bound(last);
  for (auto each = first; each != map.end(); ++each) {
    if (may(each->second)) return each;
  }
  for (auto each = map.begin(); each != first; ++each) {
    if (may(each->second)) return each;
  }
  return map.end();
}

}  // namespace

absl::Status CallQueue::Enter(EventLoop& main, const Caller& caller, const std::string& peer, size_t request_bytes,
                              Call& call) {
  absl::Status refusal;
  {
    MutexLock lock(mutex_);
    const auto entry = accounts_.try_emplace(Key{caller.transport, caller.uid, caller.san}).first;
    Account& account = entry->second;
    account.max_open = caller.role >= Role::kOperator ? limits_.open_of_operator : limits_.open_of_viewer;
    const Turn turn{entry, account.lines.try_emplace(peer).first};
    Line& line = turn.line->second;
    refusal = CheckRoom(caller, account, line, request_bytes);
    if (refusal.ok()) {
      call.place_ = Call::Place::kWaiting;
      call.main_ = &main;
      call.turn_ = turn;
      call.in_line_ = line.waiting.insert(line.waiting.end(), &call);
      call.request_bytes_ = request_bytes;
      for (Held* held : {&line.held, &account.held, &all_}) {
        ++held->waiting;
        held->request_bytes += request_bytes;
      }
      if (MayRun(account, all_) && MayRun(account, line)) Schedule(main);
      return absl::OkStatus();
    }
    ForgetIfDone(turn);
  }
  return Refuse(caller, std::move(refusal));
}

// A connection that has nothing here is let in, whatever others have.
absl::Status CallQueue::CheckRoom(const Caller& caller, const Account& account, const Line& line,
                                  size_t request_bytes) const {
  const auto calls = [](size_t count, const char* of) { return absl::StrCat(count, " calls of ", of, " wait"); };
  const auto bytes = [](size_t count, const char* of) {
    return absl::StrCat("calls with requests of ", count, " bytes of ", of, " are here");
  };
  constexpr char kConnection[] = "this connection", kCaller[] = "this caller", kAll[] = "all callers";
  if (line.held.waiting >= limits_.waiting) {
    return Full(caller, "calls", limits_.waiting, calls(line.held.waiting, kConnection));
  }
  if (line.held.waiting > 0 && account.held.waiting >= limits_.per_caller * limits_.waiting) {
    return Full(caller, "calls_per_caller", limits_.per_caller * limits_.waiting, calls(account.held.waiting, kCaller));
  }
  if (line.held.waiting > 0 && all_.waiting >= limits_.all_waiting) {
    return Full(caller, "calls_of_all", limits_.all_waiting, calls(all_.waiting, kAll));
  }
  if (line.held.request_bytes == 0) return absl::OkStatus();
  if (line.held.request_bytes + request_bytes > limits_.request_bytes) {
    return Full(caller, "request_bytes", limits_.request_bytes, bytes(line.held.request_bytes, kConnection));
  }
  if (account.held.request_bytes + request_bytes > limits_.per_caller * limits_.request_bytes) {
    return Full(caller, "request_bytes_per_caller", limits_.per_caller * limits_.request_bytes,
                bytes(account.held.request_bytes, kCaller));
  }
  if (all_.request_bytes + request_bytes > limits_.all_request_bytes) {
    return Full(caller, "request_bytes_of_all", limits_.all_request_bytes, bytes(all_.request_bytes, kAll));
  }
  return absl::OkStatus();
}

absl::Status CallQueue::Refuse(const Caller& caller, absl::Status refusal) {
  uint64_t times = 0;
  {
    MutexLock lock(mutex_);
    times = ++refused_;
  }
  // At each power of two: a client can be refused without end.
  if (std::has_single_bit(times)) {
    Log(LogLevel::kWarning, "api.calls_refused")
        .With("caller", caller.ToString())
        .With("message", refusal.message())
        .With("times", static_cast<int64_t>(times));
  }
  return refusal;
}

bool CallQueue::MayRun(const Account& account, const Held& all) const {
  const Held& held = account.held;
  if (held.waiting == 0) return false;
  if (held.open == 0) return true;
  return held.open < limits_.per_caller * account.max_open &&
         held.unread_bytes < limits_.per_caller * limits_.unread_bytes && all.open < limits_.all_open &&
         all.unread_bytes < limits_.all_unread_bytes;
}

bool CallQueue::MayRun(const Account& account, const Line& line) const {
  return !line.waiting.empty() && line.held.open < account.max_open && line.held.unread_bytes < limits_.unread_bytes;
}

std::optional<CallQueue::Turn> CallQueue::FindNext() {
  Turn turn;
  turn.account = NextInTurn(accounts_, last_, [this, &turn, all = all_](Account& account) {
    if (!MayRun(account, all)) return false;
    turn.line = NextInTurn(account.lines, account.last, [&](const Line& line) { return MayRun(account, line); });
    return turn.line != account.lines.end();
  });
  return turn.account != accounts_.end() ? std::make_optional(turn) : std::nullopt;
}

// One call for each task: between two of them the loop serves all else.
void CallQueue::Schedule(EventLoop& main) {
  if (std::exchange(scheduled_, true)) return;
  main.Post([this, &main] { RunNext(main); });
}

void CallQueue::RunNext(EventLoop& main) {
  Call* call = nullptr;
  {
    MutexLock lock(mutex_);
    scheduled_ = false;
    const std::optional<Turn> turn = FindNext();
    if (!turn.has_value()) return;
    Line& line = turn->line->second;
    call = line.waiting.front();
    line.waiting.pop_front();
    call->place_ = Call::Place::kOpen;
    for (Held* held : {&line.held, &turn->account->second.held, &all_}) {
      --held->waiting;
      ++held->open;
    }
    turn->account->second.last = turn->line->first;
    last_ = turn->account->first;
    if (all_.waiting > 0) Schedule(main);
  }
  call->Run();
}

bool CallQueue::Withdraw(Call& call) {
  MutexLock lock(mutex_);
  if (call.place_ != Call::Place::kWaiting) return false;
  call.place_ = Call::Place::kOutside;
  Line& line = call.turn_.line->second;
  line.waiting.erase(call.in_line_);
  for (Held* held : {&line.held, &call.turn_.account->second.held, &all_}) {
    --held->waiting;
    held->request_bytes -= call.request_bytes_;
  }
  ForgetIfDone(call.turn_);
  return true;
}

void CallQueue::Answered(Call& call, size_t bytes) {
  MutexLock lock(mutex_);
  if (call.place_ != Call::Place::kOpen) return;
  call.answer_bytes_ = bytes;
  for (Held* held : {&call.turn_.line->second.held, &call.turn_.account->second.held, &all_}) {
    held->unread_bytes += bytes;
  }
}

void CallQueue::Leave(Call& call) {
  MutexLock lock(mutex_);
  if (call.place_ != Call::Place::kOpen) return;
  call.place_ = Call::Place::kOutside;
  for (Held* held : {&call.turn_.line->second.held, &call.turn_.account->second.held, &all_}) {
    --held->open;
    held->request_bytes -= call.request_bytes_;
    held->unread_bytes -= call.answer_bytes_;
  }
  ForgetIfDone(call.turn_);
  if (all_.waiting > 0) Schedule(*call.main_);
}

void CallQueue::ForgetIfDone(const Turn& turn) {
  Account& account = turn.account->second;
  const auto done = [](const Held& held) { return held.waiting == 0 && held.open == 0; };
  if (done(turn.line->second.held)) account.lines.erase(turn.line);
  if (account.lines.empty()) accounts_.erase(turn.account);
}

CallQueue::Stats CallQueue::stats() const {
  MutexLock lock(mutex_);
  return {.waiting = all_.waiting,
          .open = all_.open,
          .request_bytes = all_.request_bytes,
          .unread_bytes = all_.unread_bytes,
          .refused = refused_};
}

}  // namespace kinsock
