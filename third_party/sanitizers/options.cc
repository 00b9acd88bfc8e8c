// SPDX-License-Identifier: Apache-2.0
// The options that the sanitizers' runtimes ask a program for. In the program and not in its environment: daemons
// started by tests have them too. The environment (TSAN_OPTIONS and the like) still overrules them.

extern "C" {

const char* __asan_default_options() {
  return "detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1:handle_sigbus=0:abort_on_error=0";
}

const char* __ubsan_default_options() { return "print_stacktrace=1"; }

const char* __tsan_default_options() {
  // The system's libraries are not built with ThreadSanitizer: what they touch themselves is not judged.
  return "ignore_noninstrumented_modules=1:second_deadlock_stack=1:handle_sigbus=0:report_signal_unsafe=0";
}

// Their headers are compiled here, though, and hand data from thread to thread through locks that ThreadSanitizer
// does not see.
const char* __tsan_default_suppressions() {
  return "race:grpc::\n"
         "race:google::protobuf::\n"
         "race:kinsock::v1::\n";
}

}  // extern "C"
