# Runs a file of SQLite's tests in a directory of databases: testfixture on-mount.tcl FILE OPTION...
# Where Tcl meets such a directory in another way than SQLite does, Tcl is changed here, not the tests:
#
# * A database is a symbolic link, and `file copy` copies links as links. Here it copies what they point to.
# * Names in it, directories included, have at most 200 bytes. `file mkdir` of a longer one does nothing, and `cd` into it stays.
# * `crashsql` tells a child process at the sync of which file to crash, by its path. Here the child asks which path it has
#   the file under.
#
# A test that fails here may not have made a connection, or a VFS, that is closed behind it: the rest of the file is run all the same.

set argv0 [lindex $argv 0]
set argv [lrange $argv 1 end]

namespace eval mount {
  variable mkdir [dict get [namespace ensemble configure file -map] mkdir]
  variable copy [dict get [namespace ensemble configure file -map] copy]
  # Absolute paths of the directories that were not made.
  variable unmade [list]

  proc copy {args} {
    variable copy
    set force [expr {[lindex $args 0] eq "-force"}]
    set paths [lrange $args $force end]
    if {[llength $paths] != 2 || [catch {file type [lindex $paths 0]} type] || $type ne "link"} {
      return [$copy {*}$args]
    }
    lassign $paths from to
    if {[file isdirectory $to]} { set to [file join $to [file tail $from]] }
    if {[file exists $to]} {
      if {!$force} { error "error copying \"$from\" to \"$to\": file already exists" }
      file delete $to
    }
    set in [open $from rb]
    set out [open $to wb]
    foreach channel [list $in $out] { fconfigure $channel -buffersize 1000000 }
    fcopy $in $out
    close $out
    close $in
    return ""
  }

  proc mkdir {args} {
    variable mkdir
    variable unmade
    foreach path $args {
      if {[catch {$mkdir $path} message options]} {
        if {[file pathtype $path] ne "relative"} { return -options $options $message }
        lappend unmade [file normalize $path]
      }
    }
    return ""
  }

  # A command of the child's: the parameters of its crash.
  proc crash_parameters {options path} {
    string map [list OPTIONS $options PATH $path] {sqlite3_crashparams OPTIONS [apply {path {
      if {![regexp {^(.*[.]db\d*)(.*)$} $path -> database rest]} { return $path }
      if {[catch {file readlink $database} target]} { return $path }
      return [file join [file dirname $database] $target]$rest
    }} PATH]}
  }

  proc change_crashsql {args} {
    set from {puts $f "sqlite3_crashparams $blocksize $dc $crashdelay $cfile"}
    set to {puts $f [::mount::crash_parameters "$blocksize $dc $crashdelay" $cfile]}
    set body [info body ::crashsql]
    if {[string first $from $body] < 0} { error "crashsql is not what it was" }
    proc ::crashsql args [string map [list $from $to] $body]
  }

  proc change {args} {
    variable unmade
    set path [lindex $args 0]
    if {[file normalize $path] in $unmade} { return "" }
    original_cd {*}$args
  }
}

namespace ensemble configure file -map [dict merge [namespace ensemble configure file -map] {
  copy ::mount::copy mkdir ::mount::mkdir
}]
# What Tcl does with the name of no command; testfixture has nothing else for it.
proc unknown {name args} {
  if {[string match {db[0-9] close} "$name $args"] || "$name $args" eq "tv delete"} { return "" }
  error "invalid command name \"$name\""
}
rename cd ::mount::original_cd
interp alias {} cd {} ::mount::change
# The last command of tester.tcl sets it.
trace add variable ::tester_tcl_has_run write ::mount::change_crashsql

source $argv0
