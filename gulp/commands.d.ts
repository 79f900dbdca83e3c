// Made from the tasks by tests/gulp/catalogue.py.

import type { Command } from "./index";

/** What the pages of a stream are published with. */
export interface PublishOptions {
  /** go on with this batch */
  batch?: string | undefined;
  /** requests at a time (0: as in the settings, 5) */
  concurrency?: number | undefined;
  /** least ms between two requests of a slot (-1: as in the settings, 0) */
  delay?: number | undefined;
  /** say what would be sent, and why */
  dryRun?: boolean | undefined;
  /** send unchanged pages too */
  force?: boolean | undefined;
  /** only what is wrong; the exit status tells the rest */
  quiet?: boolean | undefined;
  /** a line for each page and each warning */
  verbose?: boolean | undefined;
}

/** The commands as functions: each makes a task for gulp.series, and is one itself. */
export interface Commands {
  /** Put what was proposed for the pages into their HTML; every other byte stays */
  readonly apply: Command<{
    /** another folder for the changed pages (default: in place, with a backup) */
    output?: string | undefined;
    /** show the differences, and change nothing */
    dryRun?: boolean | undefined;
    /** one JSON document on standard output */
    json?: boolean | undefined;
    /** only what is wrong; the exit status tells the rest */
    quiet?: boolean | undefined;
    /** a line for each page and each warning */
    verbose?: boolean | undefined;
  }>;
  readonly batch: {
    /** Stop what a batch has not processed yet; pages that are done stay done */
    readonly cancel: Command<{
      /** the batch's id */
      batch?: string | undefined;
      /** one JSON document on standard output */
      json?: boolean | undefined;
      /** only what is wrong; the exit status tells the rest */
      quiet?: boolean | undefined;
      /** a line for each page and each warning */
      verbose?: boolean | undefined;
    }>;
    /** List the batches of this project, the newest first, with their states and counts */
    readonly list: Command<{
      /** one JSON document on standard output */
      json?: boolean | undefined;
      /** only what is wrong; the exit status tells the rest */
      quiet?: boolean | undefined;
      /** a line for each page and each warning */
      verbose?: boolean | undefined;
    }>;
    /** Watch a batch until it ends: progress, pages in work, time left, the last errors */
    readonly monitor: Command<{
      /** the batch's id (default: the newest) */
      batch?: string | undefined;
      /** ms between two looks (5000) */
      interval?: number | undefined;
      /** one JSON document on standard output */
      json?: boolean | undefined;
      /** only what is wrong; the exit status tells the rest */
      quiet?: boolean | undefined;
      /** a line for each page and each warning */
      verbose?: boolean | undefined;
    }>;
    /** Write a batch's report, and print its summary */
    readonly report: Command<{
      /** the batch's id (default: the newest) */
      batch?: string | undefined;
      /** one JSON document on standard output */
      json?: boolean | undefined;
      /** only what is wrong; the exit status tells the rest */
      quiet?: boolean | undefined;
      /** a line for each page and each warning */
      verbose?: boolean | undefined;
    }>;
    /** Put the failed pages of a batch back into the queue, before all others */
    readonly retry: Command<{
      /** the batch's id */
      batch?: string | undefined;
      /** only this page, by its source path or its id */
      page?: string | undefined;
      /** one JSON document on standard output */
      json?: boolean | undefined;
      /** only what is wrong; the exit status tells the rest */
      quiet?: boolean | undefined;
      /** a line for each page and each warning */
      verbose?: boolean | undefined;
    }>;
    /** Show one batch: state, pages done and failed, and why; without --batch, the list */
    readonly status: Command<{
      /** the batch's id */
      batch?: string | undefined;
      /** one JSON document on standard output */
      json?: boolean | undefined;
      /** only what is wrong; the exit status tells the rest */
      quiet?: boolean | undefined;
      /** a line for each page and each warning */
      verbose?: boolean | undefined;
    }>;
  };
  /** Print a script that completes tasks and options in bash, zsh or fish */
  readonly completion: Command<{
    /** whose script */
    shell?: string | undefined;
    /** one JSON document on standard output */
    json?: boolean | undefined;
    /** only what is wrong; the exit status tells the rest */
    quiet?: boolean | undefined;
    /** a line for each page and each warning */
    verbose?: boolean | undefined;
  }>;
  /** Look at all that an upload needs, and say what is wrong and what to do */
  readonly doctor: Command<{
    /** one JSON document on standard output */
    json?: boolean | undefined;
    /** only what is wrong; the exit status tells the rest */
    quiet?: boolean | undefined;
    /** a line for each page and each warning */
    verbose?: boolean | undefined;
  }>;
  /** HTML that changed -> map files in .nimbus/maps */
  readonly extract: Command<{
    /** one JSON document on standard output */
    json?: boolean | undefined;
    /** only what is wrong; the exit status tells the rest */
    quiet?: boolean | undefined;
    /** a line for each page and each warning */
    verbose?: boolean | undefined;
  }>;
  readonly key: {
    /** Make an API key for this project at the target, and show it once */
    readonly create: Command<{
      /** where the key is used, such as ci */
      name?: string | undefined;
      /** whose key, if the project has no owner yet (default: a new user's) */
      user?: string | undefined;
      /** the user's address */
      email?: string | undefined;
      /** one JSON document on standard output */
      json?: boolean | undefined;
      /** only what is wrong; the exit status tells the rest */
      quiet?: boolean | undefined;
      /** a line for each page and each warning */
      verbose?: boolean | undefined;
    }>;
    /** List the API keys of this project's owner: name, hash, age, whether it is active */
    readonly list: Command<{
      /** one JSON document on standard output */
      json?: boolean | undefined;
      /** only what is wrong; the exit status tells the rest */
      quiet?: boolean | undefined;
      /** a line for each page and each warning */
      verbose?: boolean | undefined;
    }>;
    /** Revoke an API key, by its name or by the beginning of its hash */
    readonly revoke: Command<{
      /** the key's name */
      name?: string | undefined;
      /** its hash, or 8 or more digits of it */
      key?: string | undefined;
      /** one JSON document on standard output */
      json?: boolean | undefined;
      /** only what is wrong; the exit status tells the rest */
      quiet?: boolean | undefined;
      /** a line for each page and each warning */
      verbose?: boolean | undefined;
    }>;
  };
  readonly page: {
    /** Show what was done with one page, entry by entry */
    readonly log: Command<{
      /** the page's source path, or its id */
      path?: string | undefined;
      /** one JSON document on standard output */
      json?: boolean | undefined;
      /** only what is wrong; the exit status tells the rest */
      quiet?: boolean | undefined;
      /** a line for each page and each warning */
      verbose?: boolean | undefined;
    }>;
    /** Tell one page's whole story: upload, content here and there, batch, status, log */
    readonly status: Command<{
      /** the page's source path, or its id */
      path?: string | undefined;
      /** one JSON document on standard output */
      json?: boolean | undefined;
      /** only what is wrong; the exit status tells the rest */
      quiet?: boolean | undefined;
      /** a line for each page and each warning */
      verbose?: boolean | undefined;
    }>;
  };
  /** Take pages from the queue and have them optimised, until Ctrl-C */
  readonly process: Command<{
    /** what may be tried now, then end */
    once?: boolean | undefined;
    /** until nothing waits at all */
    untilEmpty?: boolean | undefined;
    /** pages at a time (0: as in the settings, 5) */
    workers?: number | undefined;
    /** pages at most (0: no limit) */
    maxPages?: number | undefined;
    /** one JSON document on standard output */
    json?: boolean | undefined;
    /** only what is wrong; the exit status tells the rest */
    quiet?: boolean | undefined;
    /** a line for each page and each warning */
    verbose?: boolean | undefined;
  }>;
  readonly project: {
    /** Make a project here: .nimbus/project.toml and .gitignore */
    readonly init: Command<{
      /** the project's name (default: the folder's) */
      name?: string | undefined;
      /** the site's domain */
      domain?: string | undefined;
      /** folder with the built HTML (default: found by itself) */
      source?: string | undefined;
      /** one JSON document on standard output */
      json?: boolean | undefined;
      /** only what is wrong; the exit status tells the rest */
      quiet?: boolean | undefined;
      /** a line for each page and each warning */
      verbose?: boolean | undefined;
    }>;
  };
  /** Send the pages that changed to the store, and queue them for optimisation */
  readonly publish: Command<{
    /** at most so many changed pages (0: all) */
    limit?: number | undefined;
    /** go on with this batch */
    batch?: string | undefined;
    /** requests at a time (0: as in the settings, 5) */
    concurrency?: number | undefined;
    /** least ms between two requests of a slot (-1: as in the settings, 0) */
    delay?: number | undefined;
    /** say what would be sent, and why */
    dryRun?: boolean | undefined;
    /** send unchanged pages too */
    force?: boolean | undefined;
    /** a file for the issues, as GitLab's code quality report */
    codeQuality?: string | undefined;
    /** a file for the pages, as JUnit XML */
    junit?: string | undefined;
    /** one JSON document on standard output */
    json?: boolean | undefined;
    /** only what is wrong; the exit status tells the rest */
    quiet?: boolean | undefined;
    /** a line for each page and each warning */
    verbose?: boolean | undefined;
  }>;
  /** Ask the target what it holds, say how the ledger differs, and mend the ledger */
  readonly reconcile: Command<{
    /** say what differs, and change nothing */
    dryRun?: boolean | undefined;
    /** one JSON document on standard output */
    json?: boolean | undefined;
    /** only what is wrong; the exit status tells the rest */
    quiet?: boolean | undefined;
    /** a line for each page and each warning */
    verbose?: boolean | undefined;
  }>;
  /** Say what is published and what is not, and write .nimbus/reports/summary.json */
  readonly summarize: Command<{
    /** one JSON document on standard output */
    json?: boolean | undefined;
    /** only what is wrong; the exit status tells the rest */
    quiet?: boolean | undefined;
    /** a line for each page and each warning */
    verbose?: boolean | undefined;
  }>;
  /** Validate and upload a folder of maps that exists already, with no HTML at all */
  readonly upload: Command<{
    /** folder of map files (.nimbus/maps) */
    folder?: string | undefined;
    /** at most so many changed pages (0: all) */
    limit?: number | undefined;
    /** go on with this batch */
    batch?: string | undefined;
    /** requests at a time (0: as in the settings, 5) */
    concurrency?: number | undefined;
    /** least ms between two requests of a slot (-1: as in the settings, 0) */
    delay?: number | undefined;
    /** say what would be sent, and why */
    dryRun?: boolean | undefined;
    /** send unchanged pages too */
    force?: boolean | undefined;
    /** a file for the issues, as GitLab's code quality report */
    codeQuality?: string | undefined;
    /** a file for the pages, as JUnit XML */
    junit?: string | undefined;
    /** one JSON document on standard output */
    json?: boolean | undefined;
    /** only what is wrong; the exit status tells the rest */
    quiet?: boolean | undefined;
    /** a line for each page and each warning */
    verbose?: boolean | undefined;
  }>;
  /** Check every map, and name all that is wrong with each */
  readonly validate: Command<{
    /** a file for the issues, as GitLab's code quality report */
    codeQuality?: string | undefined;
    /** a file for the pages, as JUnit XML */
    junit?: string | undefined;
    /** one JSON document on standard output */
    json?: boolean | undefined;
    /** only what is wrong; the exit status tells the rest */
    quiet?: boolean | undefined;
    /** a line for each page and each warning */
    verbose?: boolean | undefined;
  }>;
  /** Run the pipeline, then again after each change, until Ctrl-C */
  readonly watch: Command<{
    /** ms without a change before a cycle starts */
    debounce?: number | undefined;
    /** a file that says how the watch stands, as JSON, always up to date */
    status?: string | undefined;
    /** one JSON document on standard output */
    json?: boolean | undefined;
    /** only what is wrong; the exit status tells the rest */
    quiet?: boolean | undefined;
    /** a line for each page and each warning */
    verbose?: boolean | undefined;
  }>;
  readonly worker: {
    /** Run the gateway Worker on this machine until Ctrl-C, on Cloudflare's runtime */
    readonly dev: Command<{
      /** on 127.0.0.1; 0: any free one (8787) */
      port?: number | undefined;
      /** where the Worker's files are (nimbus-gateway) */
      folder?: string | undefined;
      /** one JSON document on standard output */
      json?: boolean | undefined;
      /** only what is wrong; the exit status tells the rest */
      quiet?: boolean | undefined;
      /** a line for each page and each warning */
      verbose?: boolean | undefined;
    }>;
    /** Write the gateway Worker into this project, and how to deploy it */
    readonly init: Command<{
      /** where the Worker's files are (nimbus-gateway) */
      folder?: string | undefined;
      /** replace modules that were changed */
      force?: boolean | undefined;
      /** one JSON document on standard output */
      json?: boolean | undefined;
      /** only what is wrong; the exit status tells the rest */
      quiet?: boolean | undefined;
      /** a line for each page and each warning */
      verbose?: boolean | undefined;
    }>;
  };
}
