// Generated from the Python tasks by tests/gulp/catalogue.py.

import type * as Documents from "./documents";
import type { Command, UploadCommand } from "./index";

/** Options of the upload in a stream. */
export interface PublishOptions {
  /** add the pages to this batch (default: a new one) */
  batch?: string | undefined;
  /** requests at a time (default: from the settings) */
  concurrency?: number | undefined;
  /** minimum ms between the starts of two requests in one slot (default: from the settings) */
  delay?: number | undefined;
  /** print what would be sent, and why; send nothing */
  dryRun?: boolean | undefined;
  /** send unchanged pages too */
  force?: boolean | undefined;
  /** print only problems that change the exit status, no warnings */
  quiet?: boolean | undefined;
  /** print a line for each page and each warning */
  verbose?: boolean | undefined;
}

/** The commands as functions: each returns a task for gulp.series, and is a task itself. */
export interface Commands {
  /** Write the proposed changes into the HTML, and change no other byte */
  readonly apply: Command<
    {
      /** only pages whose source paths match this pattern, as in .gitignore */
      path?: string | undefined;
      /** write changed pages to this folder (default: in place, with a backup) */
      output?: string | undefined;
      /** only changes that published pages had already, as in a CI after each build */
      accepted?: boolean | undefined;
      /** show the differences and change nothing */
      dryRun?: boolean | undefined;
      /** write the public addresses of uploaded files instead of proposed changes */
      assets?: boolean | undefined;
      /** print one JSON document on standard output */
      json?: boolean | undefined;
      /** print only problems that change the exit status, no warnings */
      quiet?: boolean | undefined;
      /** print a line for each page and each warning */
      verbose?: boolean | undefined;
    },
    Documents.Applied
  >;
  /** Upload the images and files that pages refer to and that changed */
  readonly assets: Command<
    {
      /** print what would be sent; send nothing */
      dryRun?: boolean | undefined;
      /** send unchanged files too */
      force?: boolean | undefined;
      /** send pictures as WebP, or as [assets] compress says, where that is smaller; files here stay */
      compress?: boolean | undefined;
      /** print one JSON document on standard output */
      json?: boolean | undefined;
      /** print only problems that change the exit status, no warnings */
      quiet?: boolean | undefined;
      /** print a line for each page and each warning */
      verbose?: boolean | undefined;
    },
    Documents.AssetSummary
  >;
  readonly batch: {
    /** Cancel the pages of a batch that are not yet processed */
    readonly cancel: Command<
      {
        /** the batch's id */
        batch?: string | undefined;
        /** print one JSON document on standard output */
        json?: boolean | undefined;
        /** print only problems that change the exit status, no warnings */
        quiet?: boolean | undefined;
        /** print a line for each page and each warning */
        verbose?: boolean | undefined;
      },
      Documents.Cancelled
    >;
    /** List the batches of this project, newest first, with states and counts */
    readonly list: Command<
      {
        /** print one JSON document on standard output */
        json?: boolean | undefined;
        /** print only problems that change the exit status, no warnings */
        quiet?: boolean | undefined;
        /** print a line for each page and each warning */
        verbose?: boolean | undefined;
      },
      Documents.Batches
    >;
    /** Follow a batch to its end: progress, pages in work, time left, recent errors */
    readonly monitor: Command<
      {
        /** the batch's id (default: the newest) */
        batch?: string | undefined;
        /** milliseconds between looks (default: 5000) */
        interval?: number | undefined;
        /** print one JSON document on standard output */
        json?: boolean | undefined;
        /** print only problems that change the exit status, no warnings */
        quiet?: boolean | undefined;
        /** print a line for each page and each warning */
        verbose?: boolean | undefined;
      },
      Documents.BatchRecord
    >;
    /** Write a batch's report and print its summary */
    readonly report: Command<
      {
        /** the batch's id (default: the newest) */
        batch?: string | undefined;
        /** print one JSON document on standard output */
        json?: boolean | undefined;
        /** print only problems that change the exit status, no warnings */
        quiet?: boolean | undefined;
        /** print a line for each page and each warning */
        verbose?: boolean | undefined;
      },
      Documents.Report
    >;
    /** Put the failed pages of a batch back into the queue, ahead of all others */
    readonly retry: Command<
      {
        /** the batch's id */
        batch?: string | undefined;
        /** only this page: its path or its id */
        page?: string | undefined;
        /** print one JSON document on standard output */
        json?: boolean | undefined;
        /** print only problems that change the exit status, no warnings */
        quiet?: boolean | undefined;
        /** print a line for each page and each warning */
        verbose?: boolean | undefined;
      },
      Documents.Retried
    >;
    /** Show one batch: state, counts, progress, failed pages; without --batch, the list */
    readonly status: Command<
      {
        /** the batch's id */
        batch?: string | undefined;
        /** print one JSON document on standard output */
        json?: boolean | undefined;
        /** print only problems that change the exit status, no warnings */
        quiet?: boolean | undefined;
        /** print a line for each page and each warning */
        verbose?: boolean | undefined;
      },
      Documents.Batches | Documents.BatchRecord
    >;
  };
  /** Print a script that completes tasks and options in bash, zsh or fish */
  readonly completion: Command<
    {
      /** shell to write for (default: bash) */
      shell?: string | undefined;
      /** print one JSON document on standard output */
      json?: boolean | undefined;
      /** print only problems that change the exit status, no warnings */
      quiet?: boolean | undefined;
      /** print a line for each page and each warning */
      verbose?: boolean | undefined;
    },
    Documents.CompletionScript
  >;
  /** Check everything that an upload needs, and say what is wrong and what to do */
  readonly doctor: Command<
    {
      /** print one JSON document on standard output */
      json?: boolean | undefined;
      /** print only problems that change the exit status, no warnings */
      quiet?: boolean | undefined;
      /** print a line for each page and each warning */
      verbose?: boolean | undefined;
    },
    Documents.Diagnosis
  >;
  /** Say where the content of a page was found, and what was left out and why */
  readonly explain: Command<
    {
      /** the page: its path or its id */
      path?: string | undefined;
      /** print one JSON document on standard output */
      json?: boolean | undefined;
      /** print only problems that change the exit status, no warnings */
      quiet?: boolean | undefined;
      /** print a line for each page and each warning */
      verbose?: boolean | undefined;
    },
    Documents.Explanation
  >;
  /** Extract HTML that changed into map files in .nimbus/maps */
  readonly extract: Command<
    {
      /** learn anew what the pages have in common besides their content */
      relearn?: boolean | undefined;
      /** print one JSON document on standard output */
      json?: boolean | undefined;
      /** print only problems that change the exit status, no warnings */
      quiet?: boolean | undefined;
      /** print a line for each page and each warning */
      verbose?: boolean | undefined;
    },
    Documents.Extracted
  >;
  readonly key: {
    /** Make an API key for this project at the target, and show it once */
    readonly create: Command<
      {
        /** where the key is used, such as ci */
        name?: string | undefined;
        /** whose key, if the project has no owner yet (default: a new user's) */
        user?: string | undefined;
        /** the user's address */
        email?: string | undefined;
        /** the key only reads pages by their address */
        content?: boolean | undefined;
        /** the keys of doit nimbus:serve, in place of the gateway's */
        service?: boolean | undefined;
        /** with --service: the key uploads, and cannot log in to the web pages */
        program?: boolean | undefined;
        /** print one JSON document on standard output */
        json?: boolean | undefined;
        /** print only problems that change the exit status, no warnings */
        quiet?: boolean | undefined;
        /** print a line for each page and each warning */
        verbose?: boolean | undefined;
      },
      Documents.ShownKey
    >;
    /** List the API keys of this project's owner: name, hash, age, state, last use, requests */
    readonly list: Command<
      {
        /** the keys of doit nimbus:serve, in place of the gateway's */
        service?: boolean | undefined;
        /** whose keys, with --service (default: its first user's) */
        user?: string | undefined;
        /** print one JSON document on standard output */
        json?: boolean | undefined;
        /** print only problems that change the exit status, no warnings */
        quiet?: boolean | undefined;
        /** print a line for each page and each warning */
        verbose?: boolean | undefined;
      },
      Documents.ListedKeys
    >;
    /** Revoke an API key, by its name or by the beginning of its hash */
    readonly revoke: Command<
      {
        /** the key's name */
        name?: string | undefined;
        /** its hash, or 8 or more digits of it */
        key?: string | undefined;
        /** the keys of doit nimbus:serve, in place of the gateway's */
        service?: boolean | undefined;
        /** whose keys, with --service (default: its first user's) */
        user?: string | undefined;
        /** print one JSON document on standard output */
        json?: boolean | undefined;
        /** print only problems that change the exit status, no warnings */
        quiet?: boolean | undefined;
        /** print a line for each page and each warning */
        verbose?: boolean | undefined;
      },
      Documents.Revoked
    >;
  };
  readonly page: {
    /** Show one page's log, entry by entry */
    readonly log: Command<
      {
        /** the page: its path or its id */
        path?: string | undefined;
        /** print one JSON document on standard output */
        json?: boolean | undefined;
        /** print only problems that change the exit status, no warnings */
        quiet?: boolean | undefined;
        /** print a line for each page and each warning */
        verbose?: boolean | undefined;
      },
      Documents.PageLog
    >;
    /** Show one page: its upload, content here and at the target, batch, status, recent log */
    readonly status: Command<
      {
        /** the page: its path or its id */
        path?: string | undefined;
        /** print one JSON document on standard output */
        json?: boolean | undefined;
        /** print only problems that change the exit status, no warnings */
        quiet?: boolean | undefined;
        /** print a line for each page and each warning */
        verbose?: boolean | undefined;
      },
      Documents.PageDetail
    >;
  };
  readonly pointer: {
    /** Show which file is the latest of a group and a variant */
    readonly get: Command<
      {
        /** first part of the pointer */
        group?: string | undefined;
        /** second part of the pointer */
        variant?: string | undefined;
        /** print one JSON document on standard output */
        json?: boolean | undefined;
        /** print only problems that change the exit status, no warnings */
        quiet?: boolean | undefined;
        /** print a line for each page and each warning */
        verbose?: boolean | undefined;
      },
      Documents.ShownPointer
    >;
    /** List the pointers of the target, or of one group */
    readonly list: Command<
      {
        /** only pointers of this group */
        group?: string | undefined;
        /** print one JSON document on standard output */
        json?: boolean | undefined;
        /** print only problems that change the exit status, no warnings */
        quiet?: boolean | undefined;
        /** print a line for each page and each warning */
        verbose?: boolean | undefined;
      },
      Documents.ShownPointers
    >;
  };
  /** Take pages from the queue and optimise them, until Ctrl-C */
  readonly process: Command<
    {
      /** process the pages that are due now, then end */
      once?: boolean | undefined;
      /** process until the queue is empty, retries included */
      untilEmpty?: boolean | undefined;
      /** pages at a time (0: [process] workers, 5 by default) */
      workers?: number | undefined;
      /** maximum number of pages (0: no limit) */
      maxPages?: number | undefined;
      /** only pages whose source paths match this pattern, as in .gitignore */
      path?: string | undefined;
      /** print one JSON document on standard output */
      json?: boolean | undefined;
      /** print only problems that change the exit status, no warnings */
      quiet?: boolean | undefined;
      /** print a line for each page and each warning */
      verbose?: boolean | undefined;
    },
    Documents.Totals
  >;
  readonly project: {
    /** Make a project here: .nimbus/project.toml and .gitignore */
    readonly init: Command<
      {
        /** name of the project (default: the folder's name) */
        name?: string | undefined;
        /** domain of the site */
        domain?: string | undefined;
        /** folder with the built HTML (default: the first of dist, build, ... that exists) */
        source?: string | undefined;
        /** make a project inside another one */
        nested?: boolean | undefined;
        /** print one JSON document on standard output */
        json?: boolean | undefined;
        /** print only problems that change the exit status, no warnings */
        quiet?: boolean | undefined;
        /** print a line for each page and each warning */
        verbose?: boolean | undefined;
      },
      Documents.ProjectMade
    >;
  };
  /** Send the pages that changed to the store, and queue them for optimisation */
  readonly publish: UploadCommand<{
    /** send at most this many of the changed pages (default: all) */
    limit?: number | undefined;
    /** add the pages to this batch (default: a new one) */
    batch?: string | undefined;
    /** requests at a time (default: from the settings) */
    concurrency?: number | undefined;
    /** minimum ms between the starts of two requests in one slot (default: from the settings) */
    delay?: number | undefined;
    /** print what would be sent, and why; send nothing */
    dryRun?: boolean | undefined;
    /** with --dry-run: show how changed pages differ from what the store holds */
    diff?: boolean | undefined;
    /** only pages whose source paths match this pattern, as in .gitignore: dist/blog/, about.html */
    path?: string | undefined;
    /** send unchanged pages too */
    force?: boolean | undefined;
    /** write the issues to this file, as GitLab's code quality report */
    codeQuality?: string | undefined;
    /** write the result of each page to this file, as JUnit XML */
    junit?: string | undefined;
    /** print one JSON document on standard output */
    json?: boolean | undefined;
    /** print only problems that change the exit status, no warnings */
    quiet?: boolean | undefined;
    /** print a line for each page and each warning */
    verbose?: boolean | undefined;
  }>;
  /** Ask the target what it holds, and correct the ledger where it differs */
  readonly reconcile: Command<
    {
      /** print the differences; change nothing */
      dryRun?: boolean | undefined;
      /** read every value at the target, and check the digest of each page */
      deep?: boolean | undefined;
      /** replace records at the target that cannot be read */
      repair?: boolean | undefined;
      /** put stored pages that wait, but that the queue lacks, back into it */
      requeue?: boolean | undefined;
      /** print one JSON document on standard output */
      json?: boolean | undefined;
      /** print only problems that change the exit status, no warnings */
      quiet?: boolean | undefined;
      /** print a line for each page and each warning */
      verbose?: boolean | undefined;
    },
    Documents.Reconciled
  >;
  /** Print one page as Markdown or HTML, from its record alone */
  readonly render: Command<
    {
      /** the page: its path or its id */
      path?: string | undefined;
      /** markdown or html (default: markdown) */
      format?: string | undefined;
      /** print one JSON document on standard output */
      json?: boolean | undefined;
      /** print only problems that change the exit status, no warnings */
      quiet?: boolean | undefined;
      /** print a line for each page and each warning */
      verbose?: boolean | undefined;
    },
    Documents.Rendered
  >;
  /** Run the service that takes uploads of images, until Ctrl-C */
  readonly serve: Command<
    {
      /** address to listen on (default: from the settings, 127.0.0.1) */
      host?: string | undefined;
      /** port to listen on; 0: a free one (default: from the settings, 8788) */
      port?: number | undefined;
      /** web: answers requests; worker: works on jobs; all: both (all) */
      role?: string | undefined;
      /** processes (1) */
      workers?: number | undefined;
      /** print one JSON document on standard output */
      json?: boolean | undefined;
      /** print only problems that change the exit status, no warnings */
      quiet?: boolean | undefined;
      /** print a line for each page and each warning */
      verbose?: boolean | undefined;
    },
    Documents.Running
  >;
  /** Print what is published and what is not, and write .nimbus/reports/summary.json */
  readonly summarize: Command<
    {
      /** print one JSON document on standard output */
      json?: boolean | undefined;
      /** print only problems that change the exit status, no warnings */
      quiet?: boolean | undefined;
      /** print a line for each page and each warning */
      verbose?: boolean | undefined;
    },
    Documents.Summary
  >;
  /** Send a small picture and a pointer through the configured stores, and read both back */
  readonly testUpload: Command<
    {
      /** blob store: folder, s3, pinata or server (default: from the settings) */
      store?: string | undefined;
      /** print one JSON document on standard output */
      json?: boolean | undefined;
      /** print only problems that change the exit status, no warnings */
      quiet?: boolean | undefined;
      /** print a line for each page and each warning */
      verbose?: boolean | undefined;
    },
    Documents.UploadTest
  >;
  /** Validate and upload an existing folder of maps, without any HTML */
  readonly upload: UploadCommand<{
    /** folder of map files (default: .nimbus/maps) */
    folder?: string | undefined;
    /** send at most this many of the changed pages (default: all) */
    limit?: number | undefined;
    /** add the pages to this batch (default: a new one) */
    batch?: string | undefined;
    /** requests at a time (default: from the settings) */
    concurrency?: number | undefined;
    /** minimum ms between the starts of two requests in one slot (default: from the settings) */
    delay?: number | undefined;
    /** print what would be sent, and why; send nothing */
    dryRun?: boolean | undefined;
    /** with --dry-run: show how changed pages differ from what the store holds */
    diff?: boolean | undefined;
    /** only pages whose source paths match this pattern, as in .gitignore: dist/blog/, about.html */
    path?: string | undefined;
    /** send unchanged pages too */
    force?: boolean | undefined;
    /** write the issues to this file, as GitLab's code quality report */
    codeQuality?: string | undefined;
    /** write the result of each page to this file, as JUnit XML */
    junit?: string | undefined;
    /** print one JSON document on standard output */
    json?: boolean | undefined;
    /** print only problems that change the exit status, no warnings */
    quiet?: boolean | undefined;
    /** print a line for each page and each warning */
    verbose?: boolean | undefined;
  }>;
  /** Check every map, and list everything that is wrong with each */
  readonly validate: Command<
    {
      /** write the issues to this file, as GitLab's code quality report */
      codeQuality?: string | undefined;
      /** write the result of each page to this file, as JUnit XML */
      junit?: string | undefined;
      /** print one JSON document on standard output */
      json?: boolean | undefined;
      /** print only problems that change the exit status, no warnings */
      quiet?: boolean | undefined;
      /** print a line for each page and each warning */
      verbose?: boolean | undefined;
    },
    Documents.ValidationReport
  >;
  /** Run the pipeline, then again after each change, until Ctrl-C */
  readonly watch: Command<
    {
      /** ms without a change before a cycle starts (default: 100) */
      debounce?: number | undefined;
      /** keep the state of the watch in this file, as JSON */
      status?: string | undefined;
      /** print one JSON document on standard output */
      json?: boolean | undefined;
      /** print only problems that change the exit status, no warnings */
      quiet?: boolean | undefined;
      /** print a line for each page and each warning */
      verbose?: boolean | undefined;
    },
    undefined
  >;
  readonly worker: {
    /** Run the gateway Worker on this machine until Ctrl-C, on Cloudflare's runtime */
    readonly dev: Command<
      {
        /** on 127.0.0.1; 0: any free one (8787) */
        port?: number | undefined;
        /** where the Worker's files are (nimbus-gateway) */
        folder?: string | undefined;
        /** print one JSON document on standard output */
        json?: boolean | undefined;
        /** print only problems that change the exit status, no warnings */
        quiet?: boolean | undefined;
        /** print a line for each page and each warning */
        verbose?: boolean | undefined;
      },
      Documents.RunningWorker
    >;
    /** Write the gateway Worker into this project, and how to deploy it */
    readonly init: Command<
      {
        /** where the Worker's files are (nimbus-gateway) */
        folder?: string | undefined;
        /** replace modules that were changed */
        force?: boolean | undefined;
        /** print one JSON document on standard output */
        json?: boolean | undefined;
        /** print only problems that change the exit status, no warnings */
        quiet?: boolean | undefined;
        /** print a line for each page and each warning */
        verbose?: boolean | undefined;
      },
      Documents.Written
    >;
  };
}
