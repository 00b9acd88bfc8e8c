// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BASE_MAN_PAGE_H_
#define KINSOCK_BASE_MAN_PAGE_H_

#include <CLI/CLI.hpp>
#include <string>

namespace kinsock {

// What programs call themselves with to print the part of their manual page that --help is made of, too
// (deploy/man/page.py). Not an option: nobody needs it who is not building the page.
inline constexpr char kManPageWord[] = "__man";

// Of a program and all its commands: what each is for, how it is called, and its options, as text for man(7) that
// begins with a .SH. Any thread.
std::string ManPage(const CLI::App& app);

}  // namespace kinsock

#endif  // KINSOCK_BASE_MAN_PAGE_H_
