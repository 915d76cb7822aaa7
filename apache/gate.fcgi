#!/bin/sh
# Started by Apache (mod_fcgid), which hands over its listening socket. Put in your own two paths: the program, and
# Piwigo's directory. If Piwigo is not at the root of the site but at /piwigo/, add: --url-prefix /piwigo
# Apache starts several of these: each makes one missing resized picture at a time.
exec /home/you/bin/piwigo-gate serve --gallery /var/www/piwigo --listen fd:0 --derivative-jobs 1
